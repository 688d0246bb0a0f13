"""Whether a search decided anything: how far apart its logits are, against how much they still move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from searchbench.strategies.differentiable.pace import LEAST_STEPS
from searchbench.strategies.strategy import Logged

if TYPE_CHECKING:
    from torch import Tensor


def decided(
    steps: int, walk: Sequence[Tensor], mask: Tensor, none: int | None, least: int = LEAST_STEPS
) -> dict[str, Logged]:
    """What the record says of a choice: steps of the logits, its margin, its noise, and in words whether it is one.

    Of every decision that is open, the margin is the distance between its two largest logits, and the noise the
    standard deviation of that distance over the steps of the last epoch; both are means over decisions.

    Args:
        steps: of the logits since the search began.
        walk: the logits before each step of the last epoch and after the last one, [decisions, options] each.
        mask: [decisions, options], False where pruned.
        none: an operation that is left out of the choice.
        least: steps below which a choice is chance.
    """
    import torch

    found: dict[str, Logged] = {"logit_steps": float(steps)}
    eligible = mask.clone()
    if none is not None:
        eligible[:, none] = False
    rows = (eligible.sum(1) > 1).nonzero().flatten()
    if len(rows):
        course = torch.stack([logits[rows].double() for logits in walk])
        first, second = course[-1].masked_fill(~eligible[rows], float("-inf")).topk(2).indices.unbind(1)
        at = torch.arange(len(rows), device=rows.device)
        gaps = course[:, at, first] - course[:, at, second]
        found["margin"] = float(gaps[-1].mean())
        found["noise"] = float(gaps.std(0, correction=0).mean())
    return found | {"decided": _in_words(steps, found.get("margin"), found.get("noise"), least)}


def _in_words(steps: int, margin: Logged | None, noise: Logged | None, least: int) -> str:
    if steps < least:
        return f"no: the logits took {steps} steps, fewer than {least}"
    if _restless(margin, noise):
        return f"no: the margin of {margin:.2g} is below the noise of {noise:.2g}"
    return "yes"


def _restless(margin: Logged | None, noise: Logged | None) -> bool:
    return isinstance(margin, float) and isinstance(noise, float) and margin < noise


def caveat(found: Mapping[str, Logged], least: int = LEAST_STEPS) -> str:
    """What must be read with a search of which `decided` found this, alike for all runs alike; empty for nothing."""
    if float(found["logit_steps"]) < least:  # type: ignore[arg-type]
        return f"decided by chance: the logits took fewer than {least} steps"
    if _restless(found.get("margin"), found.get("noise")):
        return "decided by chance: the margin between operations is below its own noise in the last epoch"
    return ""
