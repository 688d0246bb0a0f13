"""The five suites: one function per kind of part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from searchbench.estimators.estimator import EstimatorSpec, JudgeSpec
from searchbench.harness.processes.process import one_thread
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.strategies.strategy import Strategy
from searchbench.tasks.digits import Digits
from searchbench.tasks.task import Task
from searchbench.testing import behaviours, estimators, honesty, judges, networks, spaces, tasks
from searchbench.testing.described import DESCRIBED
from searchbench.testing.honesty import Witnessed
from searchbench.testing.measuring import Opened
from searchbench.testing.rehearsal import Stage, stages, training_stage, trains, unsupported
from searchbench.testing.report import Behaviour, Check, Conformance, Inapplicable, brief, examine, examined
from searchbench.testing.watching import AccessWatch, unchanged_code


def check_strategy(
    strategy: Strategy,
    *,
    trials: int = 40,
    random: bool = True,
    another_process: bool = True,
    slowest_s: float = 2.0,
    on: Sequence[Stage] | None = None,
) -> Conformance:
    """Run every behaviour on every space the strategy supports.

    Args:
        strategy: the frozen description.
        trials: evaluations per rehearsal.
        random: whether other seeds must lead to other proposals (False for a strategy without any randomness).
        another_process: also rehearse in a fresh interpreter with another hash seed; the strategy must be importable
            there, so not be defined in a test function or a notebook.
        slowest_s: the strategy's own seconds per trial that are still allowed.
        on: where to rehearse, instead of `stages()` or (for a search that trains a supernet) `training_stage()`.

    Raises:
        ConformanceError: at least one behaviour is broken; the message lists them all.
    """
    one_thread()  # as in any run, and so in the other process
    checks = [*examined((*behaviours.DECLARED, DESCRIBED), strategy)]
    overhead_s = 0.0
    if checks[0].verdict == "pass":
        watch = AccessWatch("")
        with unchanged_code(watch):  # what a strategy replaces must not outlive its examination
            witnessed, rehearsed, overhead_s = _performed(strategy, trials, random, another_process, slowest_s, on)
        checks += rehearsed
        if isinstance(witnessed, Unwitnessed):
            checks += [Check(b.name, "", witnessed.verdict, witnessed.reason) for b in honesty.HONEST]
        else:
            run = replace(witnessed, noticed=(*witnessed.noticed, *watch.noticed))
            checks += examined(honesty.HONEST, run)
    return Conformance("strategy", brief(strategy), tuple(checks), overhead_s).required()


def _performed(
    strategy: Strategy,
    trials: int,
    random: bool,
    another_process: bool,
    slowest_s: float,
    on: Sequence[Stage] | None,
) -> tuple[Witnessed | Unwitnessed, list[Check], float]:
    """What a real run left behind (or why there is none), the behaviours of all rehearsals, seconds per trial."""
    training = trains(strategy, on)
    if on is None:
        on = (training_stage(),) if training else stages(trials)
    wanted = _wanted(behaviours.TRAINING if training else behaviours.ASK_TELL, another_process, random)
    witnessed, checks, overhead_s = _witnessed(strategy, on), list[Check](), 0.0
    for stage in on:
        reason = unsupported(strategy, stage)
        if reason is not None:
            checks.append(Check("runs there", stage.space.name, "skip", reason))
            continue
        begun, *others = wanted
        checks.append(examine(begun, strategy, stage, where=stage.space.name))
        if checks[-1].verdict == "fail":  # nothing else could be asked, and its answer would be the same every time
            unasked = f"there is no search to ask ({len(others) + 1} checks)"
            checks.append(Check("behaves as a search", stage.space.name, "skip", unasked))
            continue
        checks += examined(others, strategy, stage, where=stage.space.name)
        seconds, quick = behaviours.quickness(strategy, stage, slowest_s)
        checks.append(examine(quick, where=stage.space.name))
        overhead_s = max(overhead_s, seconds)
    return witnessed, checks, overhead_s


@dataclass(frozen=True, slots=True)
class Unwitnessed:
    """Why no run could be watched: it does not apply, or it broke, which never counts as looked at."""

    verdict: Literal["skip", "fail"]
    reason: str


def _witnessed(strategy: Strategy, stages: Sequence[Stage]) -> Witnessed | Unwitnessed:
    """One real run that is watched, or why there is none."""
    try:
        return honesty.witness(strategy, stages[0])
    except Inapplicable as reason:
        return Unwitnessed("skip", str(reason))
    except Exception as error:
        return Unwitnessed("fail", f"it cannot be run: {type(error).__name__}: {error}")


def check_space(
    space: Space,
    *,
    shape: tuple[int, ...] | None = None,
    classes: int = 10,
    draws: int = 60,
    built: int = 2,
    another_process: bool = True,
) -> Conformance:
    """Check points, moves, notation, keys and encodings of a space, and its networks where it has some.

    Args:
        space: the space.
        shape: channels, height, width of the images its networks are built for; None: (3, 32, 32), or () for text.
        classes: how many classes, or tokens of the vocabulary.
        draws: architectures that are drawn.
        built: networks that are built.
        another_process: also compare with a fresh interpreter with another hash seed.

    Raises:
        ConformanceError: at least one behaviour is broken; the message lists them all.
    """
    one_thread()
    shape = shape if shape is not None else ((3, 32, 32) if getattr(space, "reads", "") == "images" else ())
    checks = [
        *examined(_wanted(spaces.SPACE, another_process), spaces.Points(space, draws)),
        *examined(networks.NETWORKS, networks.BuiltNetwork(space, shape, classes, built)),
    ]
    return Conformance("space", brief(space), tuple(checks)).required()


def check_task(task: Task, *, another_process: bool = True) -> Conformance:
    """Check the description of a task, its data and its splits; without its data here, the description only.

    Raises:
        ConformanceError: at least one behaviour is broken; the message lists them all.
    """
    checks = [*examined(tasks.DECLARED, task)]
    if checks[0].verdict == "pass":
        read = tasks.ReadTask(task)
        checks.append(examine(tasks.READS, read))
        if checks[-1].verdict == "pass":
            checks += examined(_wanted(tasks.DATA, another_process), read)
    return Conformance("task", brief(task), tuple(checks)).required()


def check_estimator(
    estimator: EstimatorSpec,
    *,
    space: Space | None = None,
    task: Task | None = None,
    architectures: int = 3,
    another_process: bool = True,
) -> Conformance:
    """Check what an estimator says, measures and charges on some architectures of a space.

    Args:
        estimator: the frozen description.
        space: None: the smallest networks of NAS-Bench-201.
        task: None: the bundled digits.
        architectures: how many are measured.
        another_process: also compare with a fresh interpreter with another hash seed.

    Raises:
        ConformanceError: at least one behaviour is broken; the message lists them all.
        InputError: the space or task does not go with the estimator, or its data is not here.
    """
    one_thread()
    opened = _opened(estimator, space, task, architectures)
    return _live("estimator", estimators.DECLARED, _wanted(estimators.LIVE, another_process), opened)


def check_judge(
    judge: JudgeSpec,
    *,
    space: Space | None = None,
    task: Task | None = None,
    architectures: int = 3,
    another_process: bool = True,
) -> Conformance:
    """Check a judge's verdicts on some architectures of a space; the arguments are those of `check_estimator`.

    Raises:
        ConformanceError: at least one behaviour is broken; the message lists them all.
        InputError: the space or task does not go with the judge, or its data is not here.
    """
    one_thread()
    opened = _opened(judge, space, task, architectures)
    return _live("judge", judges.DECLARED, _wanted(judges.LIVE, another_process), opened)


def _opened(spec: Any, space: Space | None, task: Task | None, architectures: int) -> Opened:
    small = nasbench201(channels=2, cells=1, stages=1)
    return Opened(spec, small if space is None else space, Digits() if task is None else task, architectures)


def _live(kind: str, declared: tuple[Behaviour, ...], live: tuple[Behaviour, ...], opened: Opened) -> Conformance:
    checks = [*examined(declared, opened.spec)]
    if checks[0].verdict == "pass":
        checks += examined(live, opened)
    return Conformance(kind, brief(opened.spec), tuple(checks)).required()


def _wanted(known: Iterable[Behaviour], another_process: bool, random: bool = True) -> tuple[Behaviour, ...]:
    """The behaviours without those that were not asked for."""
    return tuple(
        behaviour
        for behaviour in known
        if (another_process or "another process" not in behaviour.name)
        and (random or behaviour.name != behaviours.OTHER_SEEDS)
    )
