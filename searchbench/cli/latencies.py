"""`latency build` and `latency check`: tables of blocks measured here, and how well their sums predict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from searchbench.cli.options import terminal
from searchbench.printable import printable
from searchbench.whole_file import whole

if TYPE_CHECKING:
    from searchbench.harness.declared.problem import Posed, Problem

REPEATABLE = 0.5
"""Least tau-b between two halves of the rounds at which measured networks are held against a prediction."""

ATTEMPTS = ((1, 25), (1, 100), (8, 100), (32, 100))
"""Images at a time and rounds, until measured networks are ordered alike again."""

_study = click.argument("study", type=click.Path(dir_okay=False))
_problem = click.option("--problem", default=None, metavar="LABEL", help="Of which problem. [default: the first]")
_repeats = click.option(
    "--repeats", default=25, show_default=True, type=click.IntRange(min=1), help="Runs; the median."
)

_batch = click.option(
    "--batch-size", default=1, show_default=True, type=click.IntRange(min=1), help="Images at a time."
)


@click.group()
def latency() -> None:
    """Latency tables: measure blocks on this machine, compare sums of blocks with whole networks."""


@latency.command()
@_study
@click.option("--out", required=True, metavar="FILE.csv", help="Where to write the table.")
@_problem
@_repeats
@_batch
def build(study: str, out: str, problem: str | None, repeats: int, batch_size: int) -> None:
    """Measure every block of a problem's space on this machine, one thread, in interleaved rounds, and write them as a
    table: the median, what lies between the quartiles, and the number of rounds. Layers whose options differ by less
    are named."""
    import csv

    from searchbench.errors import StudyError
    from searchbench.estimators.latency import Measured
    from searchbench.estimators.stopwatch import indistinct, measure_blocks
    from searchbench.harness.declared.components import make
    from searchbench.harness.declared.study_file import read_study
    from searchbench.spaces import SPACES
    from searchbench.tasks import TASKS

    chosen = _chosen(read_study(study).problems, problem)
    if chosen.task is None:
        raise StudyError(f"problem `{chosen.name}` has no `task`, whose images are what a block reads; name one.")
    space, task = make(chosen.space, SPACES), make(chosen.task, TASKS)
    found = measure_blocks(space, task.shape, task.classes, Measured(batch_size, repeats=repeats))
    with whole(out) as place, place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("block", "latency_ms", "spread_ms", "rounds"))
        writer.writerows((name, f"{t.ms:.6f}", f"{t.spread_ms:.6f}", t.rounds) for name, t in found.items())
    total = sum(timing.ms for timing in found.values())
    click.echo(f"{out}: {len(found)} blocks of {space.name} on {task.name}, {total:.3f} ms in all")
    for said in indistinct(found):
        click.echo(f"not told apart: {said}; raise --batch-size", err=True)


@latency.command()
@_study
@_problem
@click.option("--networks", default=20, show_default=True, type=click.IntRange(min=3), help="How many to measure.")
@click.option(
    "--repeats", default=None, type=click.IntRange(min=1), help="Runs; the median. [default: what ranks need]"
)
@click.option(
    "--batch-size", default=None, type=click.IntRange(min=1), help="Images at a time. [default: 1, more if ranks need]"
)
@click.option("--out", default=None, metavar="FILE.svg", help="Draw predicted against measured.")
def check(
    study: str, problem: str | None, networks: int, repeats: int | None, batch_size: int | None, out: str | None
) -> None:
    """Predicted against measured latency of random networks: correlations, RMSE, and the y = x picture. Rounds, then
    images at a time, are raised until one half of the rounds orders the networks as the other does; refused where
    they never do, or not with those that were asked for."""
    import numpy as np

    from searchbench.errors import StudyError
    from searchbench.estimators.latency import Measured
    from searchbench.estimators.stopwatch import measure_networks, measure_until_repeatable
    from searchbench.harness.declared.study_file import read_study
    from searchbench.reports.figures.svg import to_svg
    from searchbench.reports.figures.traded import agreement
    from searchbench.statistics import rank_correlation

    chosen = _chosen(read_study(study).problems, problem)
    resolved = chosen.resolve()
    latency = resolved.measures.latency
    if latency is None:
        raise StudyError(f"problem `{chosen.name}` has no latency to check; declare one.")
    channels, height, width = resolved.task.shape
    asked = batch_size is not None or repeats is not None
    attempts = ((batch_size or ATTEMPTS[0][0], repeats or ATTEMPTS[0][1]),) if asked else ATTEMPTS
    rng = np.random.default_rng(0)
    drawn = [resolved.space.sample(rng) for _ in range(networks)]
    predicted = np.array([latency(architecture) for architecture in drawn])
    timed, settings = measure_until_repeatable(
        lambda settings: measure_networks(drawn, (channels, height, width), resolved.task.classes, settings),
        (Measured(images, repeats=rounds) for images, rounds in attempts),
        REPEATABLE,
    )
    measured, repeated = np.array(timed.medians), timed.repeatability
    rmse = float(np.sqrt(np.mean((predicted - measured) ** 2)))
    title = f"{networks} random networks of {resolved.space.name}, ms on this machine, one thread"
    terminal().print(f"{title}, {settings.batch_size} images at a time:")
    terminal().print(f"predicted {predicted.mean():.3f} ± {predicted.std(ddof=1):.3f}")
    terminal().print(f"measured  {measured.mean():.3f} ± {measured.std(ddof=1):.3f}")
    halves = "" if np.isnan(repeated) else f"; one half of the rounds orders them as the other, tau {repeated:.2f}"
    terminal().print(f"passes of a network vary by {100 * timed.variation:.0f} % over {timed.rounds} rounds{halves}")
    if repeated < REPEATABLE:
        raise StudyError(
            f"what was measured does not repeat (tau {repeated:.2f} between halves of the rounds, {REPEATABLE} is "
            "needed), so no prediction can be held against it; raise --batch-size or --repeats."
        )
    if predicted.std() == 0:
        terminal().print(f"the prediction is constant: no correlation; RMSE {rmse:.3f} ms")
    else:
        pearson = float(np.corrcoef(predicted, measured)[0, 1])
        terminal().print(f"Pearson {pearson:.3f}; {rank_correlation(predicted, measured).wording}; RMSE {rmse:.3f} ms")
    if out is not None:
        figure = agreement(
            chosen.name, predicted.tolist(), measured.tolist(), [str(architecture) for architecture in drawn]
        )
        with whole(out) as place:
            place.write_text(to_svg(figure), encoding="utf-8")
        click.echo(printable(out))


def _chosen(problems: Iterable[Posed], label: str | None) -> Problem:
    from searchbench.errors import InputError, did_you_mean
    from searchbench.harness.declared.problem import Problem

    known = {problem.name: problem for problem in problems if isinstance(problem, Problem)}
    if not known:
        raise InputError("the study has only objectives, which have no networks to measure; declare space and task.")
    if label is None:
        return next(iter(known.values()))
    if label not in known:
        raise InputError(f"the study has no problem `{label}`; {did_you_mean(label, known)}")
    return known[label]
