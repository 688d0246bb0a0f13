"""A function as a Ray task that holds what it needs, in a process that sees no card but those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray

from searchbench.harness.declared.plan import Role
from searchbench.harness.declared.resources import Resources
from searchbench.harness.executors.executor import ONE_CPU


def placed(function: Callable[..., Any], role: Role, needs: Resources, *, retries: int) -> Any:
    """The remote function.

    Args:
        function: runs in the worker.
        role: processes of one role never do the work of the other.
        needs: what is held while it runs. Where a study declares resources, a task without cards sees none.
        retries: how often Ray begins again what was lost with its process.
    """
    variables: dict[str, str] = {"SEARCHBENCH_ROLE": role}
    if needs.gpus == 0 and needs != ONE_CPU:
        variables["CUDA_VISIBLE_DEVICES"] = ""
    return ray.remote(
        num_cpus=needs.cpus,
        num_gpus=needs.gpus,
        memory=int(needs.memory_gb * 1e9) or None,
        resources=dict(needs.custom) or None,
        max_retries=retries,
        runtime_env={"env_vars": variables},
    )(function)
