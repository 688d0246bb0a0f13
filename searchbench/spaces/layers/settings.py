"""What the spaces of layer chains share: how their settings are checked, and how their points are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.space import Architecture, Space


def check_counts(space: str, settings: Mapping[str, Any]) -> None:
    """Raise StudyError unless every value is a positive integer, or a tuple of such."""
    for name, value in settings.items():
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise StudyError(f"{space}: `{name}` must be made of positive integers, but got {value!r}.")


def check_stages(space: str, **settings: tuple[int, ...]) -> None:
    """Raise StudyError unless every setting has one entry per stage."""
    if len({len(value) for value in settings.values()}) != 1 or not all(settings.values()):
        lengths = ", ".join(f"{name} has {len(value)}" for name, value in settings.items())
        raise StudyError(f"{space}: every stage needs an entry of each, but {lengths}.")


def stages_of(architecture: Architecture) -> Iterator[tuple[str, ...]]:
    """The values of the decisions, stage by stage; the setting `layers` says how many each has."""
    values = [str(value) for value in architecture.values]
    for number in architecture.space.settings["layers"]:
        yield tuple(values[:number])
        values = values[number:]


def write_stages(architecture: Architecture) -> str:
    """Blocks apart by spaces, stages by bars: ``k3e3 k5e6|k7e3``."""
    return "|".join(" ".join(stage) for stage in stages_of(architecture))


def write_blocks(architecture: Architecture) -> str:
    """Text of `write_stages` without the layers of nothing.

    Such a layer is the identity, so that networks with the same blocks in the same order are the same: their key.
    """
    return "|".join(" ".join(block for block in stage if block != "zero") for stage in stages_of(architecture))


def read_stages(space: Space, text: str) -> Architecture:
    """Parse what `write_stages` writes. A stage may leave out its last layers where they can be `zero`.

    Raises:
        SpaceError: a wrong number of stages or blocks, or an unknown block.
    """
    layers: Sequence[int] = space.settings["layers"]
    stages = [part.replace(",", " ").split() for part in text.split("|")]
    if len(stages) != len(layers):
        raise SpaceError(f"`{space.name}` has {len(layers)} stages apart by bars, but {text!r} has {len(stages)}.")
    values: list[str] = []
    for at, (blocks, number) in enumerate(zip(stages, layers, strict=True), start=1):
        missing = number - len(blocks)
        if missing < 0 or (missing and not _skippable(space)):
            raise SpaceError(f"stage {at} of `{space.name}` has {number} blocks, but {text!r} has {len(blocks)} there.")
        values += [*blocks, *["zero"] * missing]
    return space.architecture(tuple(values))


def _skippable(space: Space) -> bool:
    return any(decision.contains("zero") for decision in space.decisions)
