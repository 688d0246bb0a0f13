"""What estimators and judges are both held to: honest costs, equal bits, no test data within reach of a search."""

from __future__ import annotations

import gc
import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from searchbench.cost import COST_AXES, DETERMINISTIC_AXES, Cost
from searchbench.errors import InputError
from searchbench.seeds import Seeds
from searchbench.spaces.space import Architecture, Space
from searchbench.tasks.task import Task, Tokens
from searchbench.testing.spaces import drawn
from searchbench.testing.tasks import PASSAGE

SEEDS = Seeds("conformance", 0)


@dataclass(frozen=True, eq=False)
class Opened:
    """An estimator or a judge with the space and the task it is opened for."""

    spec: Any
    space: Space
    task: Task
    number: int
    """How many architectures are measured."""

    @cached_property
    def live(self) -> Any:
        return self.fresh()

    def fresh(self) -> Any:
        """Another one, opened for the same replicate."""
        return self.spec.open(self.space, self.task, SEEDS)

    @cached_property
    def some(self) -> list[Architecture]:
        """The first one is measured by every behaviour; the rest by few."""
        return drawn(self.space, self.number)

    @cached_property
    def broken(self) -> Any:
        """One for a space like this one, whose networks raise when they are run."""
        marked = replace(self.space, networks=f"{__name__}:Broken")
        return self.spec.open(marked, self.task, SEEDS)


class Broken:
    """A builder of networks whose forward pass raises; their size is that of a small network."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def size(self, architecture: Architecture, *_: Any, **__: Any) -> tuple[int, int]:
        """(parameters, multiply-accumulates)."""
        return 10, 1000

    def network(self, architecture: Architecture, *_: Any, **__: Any) -> Any:
        """A module with one parameter that cannot be run."""
        from torch import nn

        class Raising(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.head = nn.Linear(1, 1, device="meta")

            def forward(self, *_: Any) -> Any:
                raise RuntimeError("rehearsed failure of a network")

        return Raising()


def wrong_cost(cost: object) -> str | None:
    """The sentence about a cost that is none, not finite, or negative."""
    if not isinstance(cost, Cost):
        return f"the cost must be a Cost, but is {cost!r}."
    for axis in COST_AXES:
        value = getattr(cost, axis)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            return f"`{axis}` of the cost must be finite and not negative, but is {value!r}."
    return None


def wrong_metrics(metrics: object) -> str | None:
    """The sentence about metrics that are no finite numbers by name."""
    if not isinstance(metrics, Mapping):
        return f"metrics must be a mapping, but are {metrics!r}."
    for name, value in metrics.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not isinstance(name, str) or not number or not math.isfinite(value):
            return f"the metric {name!r} must be a finite number, but is {value!r}."
    return None


def charged(cost: Cost) -> dict[str, float]:
    """The deterministic axes on which something was charged."""
    return {axis: amount for axis in DETERMINISTIC_AXES if (amount := getattr(cost, axis))}


def reachable(root: object, most: int = 300_000) -> Iterator[object]:
    """Everything that can be reached by attributes and containers, not through modules, classes and functions'
    globals."""
    seen, waiting = {id(root)}, [root]
    while waiting and len(seen) < most:
        at = waiting.pop()
        yield at
        for found in _below(at):
            if id(found) not in seen and not isinstance(found, type | types.ModuleType | types.FrameType):
                seen.add(id(found))
                waiting.append(found)


def _below(at: object) -> list[Any]:
    if isinstance(at, types.FunctionType):
        cells = [cell.cell_contents for cell in at.__closure__ or () if _filled(cell)]
        return [*cells, at.__defaults__, at.__kwdefaults__]
    return gc.get_referents(at)


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def within_reach(opened: Opened) -> str | None:
    """The sentence about test samples, or something that reads them, held by what is opened for a search."""
    probes = _probes(opened.task)
    for thing in reachable(opened.live):
        if callable(getattr(type(thing), "judge_data", None)):
            return f"it holds the task ({thing!r}), whose `judge_data` reads the test samples."
        array = _array(thing)
        if array is not None and probes and len(probes & set(_rows(array))) > len(probes) / 2:
            return f"it holds an array {array.shape} with the test samples."
    return None


def _probes(task: Task) -> set[bytes]:
    """Some test samples, or passages of a text, as bytes; none where the data is not here."""
    try:
        test = task.judge_data(SEEDS).test
    except InputError:
        return set()
    array = test.tokens if isinstance(test, Tokens) else test.inputs
    rows = _rows(array)
    return {rows[at] for at in np.linspace(0, len(rows) - 1, 21).astype(int)}


def _array(thing: object) -> npt.NDArray[Any] | None:
    """What holds samples, be it NumPy's or PyTorch's."""
    if type(thing).__name__ == "Tensor" and getattr(thing, "is_cpu", False):
        thing = thing.detach().numpy()  # type: ignore[attr-defined]
    return thing if isinstance(thing, np.ndarray) and thing.ndim > 0 and thing.size > PASSAGE else None


def _rows(array: npt.NDArray[Any]) -> list[bytes]:
    """Samples as bytes; of a text, passages that begin at multiples of their length."""
    rows = array[: len(array) // PASSAGE * PASSAGE].reshape(-1, PASSAGE) if array.ndim == 1 else array
    return [np.ascontiguousarray(row).tobytes() for row in rows]
