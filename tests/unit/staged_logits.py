"""P-DARTS with logits that are given, stage by stage: what this package's search derives of them."""

from __future__ import annotations

import torch
from named_weights import logits_of
from test_differentiable_darts import cell_lab

from searchbench.spaces.darts.space import OPERATIONS, darts, genotype
from searchbench.strategies.differentiable import CappedTopEdges
from searchbench.strategies.differentiable.discretise import path_of
from searchbench.strategies.differentiable.papers import p_darts

Cell = list[list[tuple[str, int]]]
"""Of each node the operations and their sources."""


def of_stage(case: int, stage: int) -> torch.Tensor:
    """[28, 8]: the logits with which a stage ends; skips are somewhat likelier, so that some must go."""
    both = [logits_of(14, 8, f"{case} {stage} {cell}") for cell in ("normal", "reduce")]
    logits = torch.cat(both)
    logits[:, OPERATIONS.index("skip_connect")] += 0.8
    return logits


def searched(case: int):
    """The search after its three stages, its supernets untrained and its logits given, and what it handed over."""
    metered = cell_lab(darts(4, 3))
    search = p_darts(epochs=3, batch_size=64).start(metered.scenario)

    def given(game):
        with torch.no_grad():
            game.alpha.copy_(of_stage(case, search._session.epoch))

    search._train = given
    for _ in range(3):
        search.advance(metered)
    return search, genotype(metered.final.architecture)


def derived(done, skips: int) -> dict[str, Cell]:
    """The cells of a search with at most so many skips: what it handed over at two, its own rule."""
    search, found = done
    if skips != search._settings.discretise.skips:
        game, rule = search._session.trained, CappedTopEdges(2, skips)
        path = path_of(rule.choose(search._weights(game), search._topology), search._topology)
        found = genotype(game.supernet.architecture(path))
    return {"normal": _cell(found.normal), "reduce": _cell(found.reduce)}


def _cell(cell) -> Cell:
    return [sorted([list(pair) for pair in node], key=lambda pair: pair[1]) for node in cell.nodes]
