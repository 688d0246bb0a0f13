"""`latency build` and `latency check`: tables of blocks measured here, and how well their sums predict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from searchbench.cli.options import terminal
from searchbench.printable import printable
from searchbench.whole_file import whole

if TYPE_CHECKING:
    from searchbench.harness.problem import Posed, Problem

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
    """Measure every block of a problem's space on this machine, one thread, and write them as a table."""
    import csv

    from searchbench.estimators.latency import Measured
    from searchbench.estimators.stopwatch import measure_blocks
    from searchbench.harness.components import make
    from searchbench.harness.study_file import read_study
    from searchbench.spaces import SPACES
    from searchbench.tasks import TASKS

    chosen = _chosen(read_study(study).problems, problem)
    space, task = make(chosen.space, SPACES), make(chosen.task, TASKS)
    found = measure_blocks(space, task.shape, task.classes, Measured(batch_size, repeats=repeats))
    with whole(out) as place, place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("block", "latency_ms"), *((name, f"{ms:.6f}") for name, ms in found.items())])
    click.echo(f"{out}: {len(found)} blocks of {space.name} on {task.name}, {sum(found.values()):.3f} ms in all")


@latency.command()
@_study
@_problem
@click.option("--networks", default=20, show_default=True, type=click.IntRange(min=3), help="How many to measure.")
@_repeats
@_batch
@click.option("--out", default=None, metavar="FILE.svg", help="Draw predicted against measured.")
def check(study: str, problem: str | None, networks: int, repeats: int, batch_size: int, out: str | None) -> None:
    """Predicted against measured latency of random networks: correlations, RMSE, and the y = x picture."""
    import numpy as np

    from searchbench.errors import StudyError
    from searchbench.estimators.latency import Measured
    from searchbench.harness.study_file import read_study
    from searchbench.reports.figures.svg import to_svg
    from searchbench.reports.figures.traded import agreement
    from searchbench.statistics import rank_correlation

    chosen = _chosen(read_study(study).problems, problem)
    resolved = chosen.resolve()
    latency = resolved.measures.latency
    if latency is None:
        raise StudyError(f"problem `{chosen.name}` has no latency to check; declare one.")
    channels, height, width = resolved.task.shape
    stopwatch = Measured(batch_size, repeats=repeats).open(
        resolved.space, (channels, height, width), resolved.task.classes
    )
    rng = np.random.default_rng(0)
    drawn = [resolved.space.sample(rng) for _ in range(networks)]
    predicted = np.array([latency(architecture) for architecture in drawn])
    measured = np.array([stopwatch(architecture) for architecture in drawn])
    pearson = float(np.corrcoef(predicted, measured)[0, 1])
    rmse = float(np.sqrt(np.mean((predicted - measured) ** 2)))
    terminal().print(f"{networks} random networks of {resolved.space.name}, ms on this machine, one thread:")
    terminal().print(f"predicted {predicted.mean():.3f} ± {predicted.std(ddof=1):.3f}")
    terminal().print(f"measured  {measured.mean():.3f} ± {measured.std(ddof=1):.3f}")
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
    from searchbench.harness.problem import Problem

    known = {problem.name: problem for problem in problems if isinstance(problem, Problem)}
    if not known:
        raise InputError("the study has only objectives, which have no networks to measure; declare space and task.")
    if label is None:
        return next(iter(known.values()))
    if label not in known:
        raise InputError(f"the study has no problem `{label}`; {did_you_mean(label, known)}")
    return known[label]
