"""What runs hold while they run, and whether a cluster can ever give it to them."""

from __future__ import annotations

from collections.abc import Iterable

from searchbench.errors import StudyError
from searchbench.harness.declared.plan import Role, RunSpec
from searchbench.harness.declared.resources import Resources, driver_of
from searchbench.harness.executors.executor import ONE_CPU, Executor
from searchbench.harness.running.crews import apart


def check_placing(runs: Iterable[RunSpec], executor: Executor, nodes: Iterable[Resources] = ()) -> None:
    """Raise StudyError, before anything is declared, where something could never be placed; says what is missing.

    Args:
        runs: of the study.
        executor: knows the nodes that there are.
        nodes: what a cluster may add where it is asked for.
    """
    more = [node.as_node() for node in nodes]
    wanted = {str(one): one for spec in runs for one in (spec.needs, spec.judge_needs) if one != ONE_CPU}
    for one in wanted.values():
        if (lacking := executor.lacking(one)) and (not more or one.lacking(more)):
            raise StudyError(
                f"this study can never be placed here: it needs {lacking}; lower `[resources]`, join a cluster that "
                "has them (`ray_address`), or declare the nodes that it adds (`resources.nodes`)."
            )


def needs(role: Role, spec: RunSpec) -> Resources:
    """What a batch with this run holds. A search whose evaluations are tasks of their own waits for them only."""
    if role == "judge":
        return spec.judge_needs
    return driver_of(spec.needs) if apart(spec) else spec.needs
