"""Whether a search decided anything: how far apart its logits are, against how much they still move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from searchbench.strategies.differentiable.pace import LEAST_STEPS
from searchbench.strategies.strategy import Logged

if TYPE_CHECKING:
    from torch import Tensor


Margins = Mapping[int, tuple[float, float]]
"""By decision the margin of its choice, and the noise of that margin."""


def margins(walk: Sequence[Tensor], mask: Tensor, none: int | None) -> dict[int, tuple[float, float]]:
    """Return, by each decision that was open in an epoch, the distance between its two largest logits, and the standard
    deviation of that distance over the steps of the epoch.

    Args:
        walk: the logits before each step of the epoch and after the last one, [decisions, options] each.
        mask: [decisions, options], False where pruned before the epoch began: what is pruned in it was lost in it.
        none: an operation that is left out of the choice.
    """
    import torch

    eligible = mask.clone()
    if none is not None:
        eligible[:, none] = False
    rows = (eligible.sum(1) > 1).nonzero().flatten()
    if not len(rows):
        return {}
    course = torch.stack([logits[rows].double() for logits in walk])
    first, second = course[-1].masked_fill(~eligible[rows], float("-inf")).topk(2).indices.unbind(1)
    at = torch.arange(len(rows), device=rows.device)
    gaps = course[:, at, first] - course[:, at, second]
    found = zip(gaps[-1].tolist(), gaps.std(0, correction=0).tolist(), strict=True)
    return dict(zip(rows.tolist(), found, strict=True))


def decided(steps: int, known: Margins, least: int = LEAST_STEPS) -> dict[str, Logged]:
    """What the record says of a choice: steps of the logits, its margin and noise, means over decisions, and in words
    whether it is one.

    Args:
        steps: of the logits since the search began.
        known: of every decision, as it was in the last epoch that found it open.
        least: steps below which a choice is chance.
    """
    found: dict[str, Logged] = {"logit_steps": float(steps)}
    if known:
        found["margin"], found["noise"] = (fmean(pair[at] for pair in known.values()) for at in (0, 1))
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
