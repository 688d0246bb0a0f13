"""P-DARTS and PD-DARTS from the first epoch to the genotype, beside the released derivation of P-DARTS."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from staged_logits import derived, searched
from test_differentiable_darts import cell_lab

from searchbench.harness.running.loop import drive
from searchbench.spaces.darts.space import OPERATIONS, darts, genotype
from searchbench.strategies.differentiable import Milestones, Stages
from searchbench.strategies.differentiable.papers import p_darts, pd_darts

SPACE = darts(4, 3)
SKIP = OPERATIONS.index("skip_connect")


@dataclass(frozen=True)
class Watched:
    """A pruning part that keeps what it is told before it prunes."""

    part: Any
    seen: list = field(default_factory=list, compare=False)

    def after_epoch(self, weights, mask, *when):
        self.seen.append((weights.double().numpy().copy(), mask.numpy().copy()))
        return self.part.after_epoch(weights, mask, *when)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.part, name)


# -- the released derivation (chenxin061/pdarts, train_search.py), over all operations, of which those dropped have 0 --


def released_one_operation(probabilities, switches):
    """`get_min_k_no_zero`: `none` is dropped first, then the least likely, until one is left."""
    left = np.zeros_like(switches)
    for edge, row in enumerate(switches):
        names = [op for op in range(1, len(row)) if row[op]]
        while len(names) > 1:
            names.remove(min(names, key=lambda op: probabilities[edge, op]))
        left[edge, names[0]] = True
    return left


def released_two_branches(probabilities, switches):
    """`keep_2_branches`: of every node the two edges whose largest probability is largest."""
    strength, kept, start, n = probabilities.max(1), [0, 1], 2, 3
    for _ in range(3):
        order = sorted(range(n), key=lambda at: strength[start + at])
        kept += [order[-1] + start, order[-2] + start]
        start, n = start + n, n + 1
    left = switches.copy()
    left[[edge for edge in range(14) if edge not in kept]] = False
    return left


def released_genotype(probabilities, switches, most_skips):
    """Operations per edge of one cell; `most_skips` None: of the reduction cell, whose skips are not counted."""
    probabilities = copy.deepcopy(probabilities) * switches
    probabilities[:, 0] = 0
    chosen = released_two_branches(probabilities, released_one_operation(probabilities, switches))
    while most_skips is not None and chosen[:, SKIP].sum() > most_skips:
        weakest = int(np.where(chosen[:, SKIP], probabilities[:, SKIP], 1.0).argmin())
        probabilities[weakest, SKIP] = 0.0
        chosen = released_two_branches(probabilities, released_one_operation(probabilities, switches))
    return {(edge, int(row.argmax())) for edge, row in enumerate(chosen) if row.any()}


def edges_of(cell):
    """The edges and operations of a cell, numbered as in the released code."""
    first = {2: 0, 3: 2, 4: 5, 5: 9}
    return {
        (first[target] + source, OPERATIONS.index(name))
        for target, node in zip((2, 3, 4, 5), cell.nodes, strict=True)
        for name, source in node
    }


def test_progressive_darts_hands_over_what_the_released_code_derives():
    strategy = p_darts(epochs=3, batch_size=16, alpha_lr=0.3, skips=1)
    watched = Watched(Stages((5, 3, 1)))
    metered = cell_lab(SPACE)
    drive(replace(strategy, prune=watched).start(metered.scenario), metered)
    probabilities, mask = watched.seen[-1]
    assert (mask.sum(1) == 3).all()
    assert np.allclose(probabilities.sum(1), 1)
    found = genotype(metered.final.architecture)
    assert edges_of(found.normal) == released_genotype(probabilities[:14], mask[:14], 1)
    assert edges_of(found.reduce) == released_genotype(probabilities[14:], mask[14:], None)


STAGES = json.loads(Path(__file__).with_name("published_stages.json").read_text(encoding="utf-8"))
"""What the authors' program derives of given logits, by the most skips; see benchmarks/p_darts_beside_original.py."""


@pytest.mark.parametrize("case", range(len(STAGES)))
def test_all_three_stages_end_in_the_genotypes_of_the_authors_program(case):
    done = searched(case)
    for cap, cells in STAGES[case].items():
        assert derived(done, int(cap)) == cells, cap


def test_the_recorded_cases_have_skips_to_restrict():
    skips = [[op for node in case["8"]["normal"] for op, _ in node].count("skip_connect") for case in STAGES]
    assert max(skips) > 2


@pytest.mark.parametrize("fix_best", [False, True])
def test_progressive_discretisation_ranks_edges_by_what_they_were_decided_by(fix_best):
    """With one survivor an edge's softmax is 1, all edges tie, and the lowest sources would win."""
    nodes = []
    for replicate in range(2):
        strategy = pd_darts(epochs=5, batch_size=16, alpha_lr=0.3, fix_best=fix_best)
        watched = Watched(Milestones("fix-best" if fix_best else "drop-worst"))
        metered = cell_lab(SPACE, replicate=replicate)
        search = replace(strategy, prune=watched).start(metered.scenario)
        drive(search, metered)
        decided = np.full((28, 8), np.nan)
        masks = [mask for _, mask in watched.seen] + [search._session.trained.mask.numpy()]
        for (weights, before), after in zip(watched.seen, masks[1:], strict=True):
            closed = (before.sum(1) > 1) & (after.sum(1) == 1)
            decided[closed] = weights[closed]
        assert (masks[-1].sum(1) == 1).all()
        assert not masks[-1][:, 0].any()
        strength = decided[:, 1:].max(1)
        found = genotype(metered.final.architecture)
        for cell, offset in ((found.normal, 0), (found.reduce, 14)):
            for first, n, node in zip((0, 2, 5, 9), (2, 3, 4, 5), cell.nodes, strict=True):
                heaviest = sorted(range(n), key=lambda s: -strength[offset + first + s])[:2]
                assert sorted(source for _, source in node) == sorted(heaviest)
        nodes += [tuple(sorted(source for _, source in cell.nodes[3])) for cell in (found.normal, found.reduce)]
    assert nodes.count((0, 1)) < 4
