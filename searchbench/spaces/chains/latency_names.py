"""What the blocks of a chain of layers are called in tables of latencies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from searchbench.errors import StudyError, did_you_mean
from searchbench.spaces.choices import Choice
from searchbench.spaces.space import Space

Shape = tuple[int, int, int]
FIXED = "fixed"
"""Everything outside the decisions, in tables by choices."""


@dataclass(frozen=True, slots=True)
class BlockNames:
    """The names of all that a space's networks are made of."""

    fixed: tuple[str, ...]
    """What every network has."""
    options: tuple[tuple[str | None, ...], ...]
    """Per decision, a name per option; None is nothing at all, which takes no time."""


def by_choices(space: Space, shape: Shape, classes: int) -> BlockNames:
    """``layer 3=k5e6`` per decision and option, and `FIXED` for the rest; of any space of categorical decisions."""
    return BlockNames(
        (FIXED,),
        tuple(
            tuple(None if str(value) == "zero" else f"{decision.name}={value}" for value in decision.values())
            for decision in _choices(space)
        ),
    )


def by_shapes(space: Space, shape: Shape, classes: int) -> BlockNames:
    """The keys of ProxylessNAS's table: type, input and output shape, expansion, kernel, stride, residual.

    Args:
        shape: channels, height, width of the image.

    Raises:
        StudyError: the space is not a chain of inverted residuals.
    """
    from searchbench.spaces.chains.mobile import EXPANSIONS, KERNELS, shapes

    settings = space.settings
    if space.name not in ("mobile-fairnas", "mobile-proxyless"):
        raise StudyError(
            f"only MobileNet-like spaces have blocks named by their shapes, but got `{space.name}`; "
            'use names = "choices".'
        )
    side = -(-shape[1] // settings["stem_stride"])
    stem, first, last = settings["stem"], settings["first"], settings["last"]
    fixed = [
        f"Conv-input:{shape[1]}x{shape[2]}x{shape[0]}-output:{_cube(side, stem)}",
        _inverted(side, stem, side, first, 1, 3, 1, False),
    ]
    options = []
    steps = shapes(first, settings["channels"], settings["layers"], settings["strides"])
    for decision, (inputs, outputs, stride, residual) in zip(space.decisions, steps, strict=True):
        after = -(-side // stride)
        names: list[str | None] = [
            _inverted(side, inputs, after, outputs, expansion, kernel, stride, residual)
            for kernel in KERNELS
            for expansion in EXPANSIONS
        ]
        options.append(tuple(names + [None] * (decision.arity == len(names) + 1)))
        side = after
    fixed.append(f"Conv_1-input:{_cube(side, settings['channels'][-1])}-output:{_cube(side, last)}")
    fixed.append(f"Logits-input:{_cube(side, last)}-output:{classes}")
    return BlockNames(tuple(fixed), tuple(options))


NAMINGS: Mapping[str, Callable[[Space, Shape, int], BlockNames]] = {"choices": by_choices, "shapes": by_shapes}


def block_names(naming: str, space: Space, shape: Shape, classes: int) -> BlockNames:
    """The names under one of `NAMINGS`. Raises StudyError where there is no such, or the space has no blocks."""
    if naming not in NAMINGS:
        raise StudyError(f"blocks are not named by `{naming}`; {did_you_mean(naming, NAMINGS)}")
    return NAMINGS[naming](space, shape, classes)


def _choices(space: Space) -> list[Choice]:
    choices = [d for d in space.decisions if isinstance(d, Choice)]
    if space.conditional or len(choices) != len(space.decisions):
        raise StudyError(
            f"latencies add up over blocks where every decision is a choice of one, but `{space.name}` has others; "
            "use a table by architectures, or `measured`."
        )
    return choices


def _cube(side: int, channels: int) -> str:
    return f"{side}x{side}x{channels}"


def _inverted(
    side: int, inputs: int, after: int, outputs: int, expansion: int, kernel: int, stride: int, residual: bool
) -> str:
    return (
        f"expanded_conv-input:{_cube(side, inputs)}-output:{_cube(after, outputs)}"
        f"-expand:{expansion}-kernel:{kernel}-stride:{stride}-idskip:{int(residual)}"
    )
