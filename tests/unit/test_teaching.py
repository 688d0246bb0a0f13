"""Paths that learn from other paths, and samplers that see scores."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_lab import SPACE, lab, scenario

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.harness.declared.components import describe
from searchbench.harness.running.loop import drive
from searchbench.strategies.noted import Noted
from searchbench.strategies.oneshot import Attentive, InPlaceDistillation, Sandwich, SposEvolution
from searchbench.strategies.oneshot.papers import attentive_nas, bignas, spos
from searchbench.strategies.oneshot.samplers import MacsStratified, extremes

WEIGHTS = [16.0, 4.0, 1.0, 0.25, 0.0625]


def priced(*costs: list[int]) -> Any:
    """A supernet of which only the options' multiply-accumulates are known, which add up."""
    return SimpleNamespace(
        options=tuple(map(len, costs)), macs=lambda path: sum(row[at] for row, at in zip(costs, path, strict=True))
    )


def test_the_sandwich_has_the_largest_and_the_smallest_path_around_random_ones() -> None:
    supernet = priced([1, 5, 3], [2, 2, 9, 0, 0])
    assert extremes(supernet) == ((1, 2), (0, 4))
    draw, rng = Sandwich(2).over(supernet), np.random.default_rng(0)
    rounds = [draw(rng, 0.0) for _ in range(400)]
    assert {(r[0], r[-1]) for r in rounds} == {((1, 2), (0, 4))}
    counts = Counter(path for r in rounds for path in r[1:-1])
    assert len(counts) == 15
    assert max(counts.values()) < 2.0 * 800 / 15
    assert Sandwich(0).over(supernet)(rng, 0.0) == ((1, 2), (0, 4))


def test_smallest_path_of_cells_still_carries_something() -> None:
    supernet = lab().supernet()
    largest, smallest = (supernet.architecture(path) for path in extremes(supernet))
    assert set(largest.values) == {"nor_conv_3x3"}
    assert SPACE.carrying(smallest)


@pytest.mark.parametrize("best", [True, False])
def test_attentive_paths_are_the_best_or_worst_of_their_stratum(best: bool) -> None:
    supernet, rng = priced(*[[0, 1, 2, 3]] * 5), np.random.default_rng(0)
    asked: list[tuple[int, ...]] = []

    def score(path: tuple[int, ...]) -> float:
        asked.append(path)
        return float(np.dot(path, WEIGHTS))

    strata = MacsStratified(bins=3)
    sampler = Attentive(4, best, 2, strata)
    edges, draw = strata.edges(supernet), sampler.attending(supernet, score)
    for _ in range(50):
        asked.clear()
        paths = draw(rng, 0.0)
        assert len(asked) == sampler.looks == 8
        for chosen, among in zip(paths[1:-1], (list(asked[:4]), list(asked[4:])), strict=True):
            assert chosen == (min if best else max)(among, key=lambda path: np.dot(path, WEIGHTS))
            strata_of = {int(np.searchsorted(edges, supernet.macs(path), side="left")) for path in among}
            assert max(strata_of) - min(strata_of) <= 1  # a path on the border belongs to both


def test_the_largest_learns_the_labels_and_the_others_learn_from_it() -> None:
    """One round beside a plain form of it, to the gradients."""
    metered, plain = lab(), lab()
    search = replace(bignas(epochs=1, batch_size=20), finder=SposEvolution(4, 1, 2, 2, 2)).start(metered.scenario)
    weights = search._session.begin(metered)  # type: ignore[attr-defined]
    seen = []
    weights.optimizer.step = lambda: seen.extend(
        None if w.grad is None else w.grad.clone() for w in weights.supernet.parameters()
    )
    search._settings = replace(search._settings, weights=replace(search._settings.weights, clip=None))  # type: ignore[attr-defined]
    assert search._round(metered, weights, metered.batches("train", 20), Noted()) == 1  # type: ignore[attr-defined]

    supernet: Any = plain.supernet()
    draw = Sandwich(2).over(supernet)
    paths: Any = draw(scenario().seeds.rng("search", "paths"), 0.0)
    batch = next(iter(plain.batches("train", 20)))
    logits = supernet(batch.inputs, paths[0])
    F.cross_entropy(logits, batch.targets).backward()
    target = logits.detach().softmax(1)
    for path in paths[1:]:
        F.cross_entropy(supernet(batch.inputs, path), target).backward()
    expected = [w.grad for w in supernet.parameters()]
    assert [g is None for g in seen] == [g is None for g in expected]
    for ours, theirs in zip(seen, expected, strict=True):
        if ours is not None:
            assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("paper", [bignas, attentive_nas])
def test_a_supernet_is_trained_and_searched_within_the_budget(paper: Any) -> None:
    metered = lab(Budget(samples=3000))
    search = replace(paper(batch_size=20), finder=SposEvolution(6, 2, 3, 3, 3)).start(metered.scenario)
    drive(search, metered)
    assert 2000 < metered.spent.samples <= 3000
    assert metered.final is not None
    assert search._session.epoch >= 2


def test_what_learns_from_labels_is_described_as_before() -> None:
    assert "teaching" not in describe(spos())
    assert describe(bignas())["teaching"] == {"class": describe(InPlaceDistillation())["class"]}
    with pytest.raises(StudyError, match="`random` must not be negative"):
        Sandwich(-1)
    with pytest.raises(StudyError, match="must be at least 1"):
        Attentive(candidates=0)
