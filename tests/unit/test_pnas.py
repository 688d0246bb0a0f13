"""Progressive search: what it trains at each size, what its predictor knows, and that it finds better cells."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.problem import Problem
from searchbench.harness.declared.study import Study
from searchbench.harness.running.run import run_search
from searchbench.results.columns import read_traces
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.spaces.block_cells.cells import NORMAL, cells_of, growing, legal_blocks
from searchbench.spaces.block_cells.nasnet import LATER
from searchbench.spaces.block_cells.nasnet import pnas as pnas_space
from searchbench.spaces.enas.micro import enas_micro
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.cell_predictors import CellEnsemble, CellTokens
from searchbench.strategies.pnas import Lstm, Mlp, Pnas, Predictor, Widening, pnas
from searchbench.strategies.strategy import Scenario
from searchbench.trial import FULL, Trial

SPACE = pnas_space()
SMALL = pnas_space(blocks=3, operations=("identity", "max3", "sep3"))
WORTH = dict(zip(LATER, (0.0, 0.5, 0.6, 0.1, 0.2, 0.8, 1.0, 0.9), strict=True))


def error(architecture: Architecture) -> float:
    """Better with the worth of the operations and with states that differ; in [0.1, 1]."""
    cell = cells_of(architecture)[NORMAL]
    gain = sum(WORTH[f] + WORTH[g] - 0.3 * (x == y) for (x, f), (y, g), _ in cell)
    return float(1 - 0.9 * max(gain, 0.0) / 10)


def start(settings: Pnas, space: Space, seed: int = 0) -> Widening:
    return settings.start(Scenario(space, Seeds("s", seed, repr(settings)), Budget(evaluations=9999)))


def whole(search: Widening, value: Any = error, abreast: int = 1) -> list[Trial]:
    """Run it to its end, with as many proposals under way as it gives, up to `abreast`."""
    trials: list[Trial] = []
    while True:
        asked = [p for p in (search.ask() for _ in range(abreast)) if p is not None]
        if not asked:
            return trials
        for proposal in asked:
            result = value(proposal.architecture)
            status: Any = "nan" if math.isnan(result) else "ok"
            trials.append(Trial(len(trials), proposal.architecture, FULL, status, result, Cost(evaluations=1)))
            search.tell(trials[-1])


def by_blocks(trials: list[Trial]) -> dict[object, int]:
    return dict(Counter(t.architecture["blocks"] for t in trials))


# -- the space ------------------------------------------------------------


def test_one_block_cells_are_256_of_which_136_differ_and_a_second_block_can_be_one_of_300() -> None:
    one = pnas_space(blocks=1)
    assert one.size == 256
    assert len({a.key for a in one.enumerate()}) == 136
    assert [len(legal_blocks(b, LATER)) for b in range(1, 6)] == [136, 300, 528, 820, 1176]


def test_the_space_holds_cells_of_every_number_of_blocks() -> None:
    sizes = [math.prod((b + 1) ** 2 * 64 for b in range(1, most + 1)) for most in range(1, 6)]
    assert sizes[-1] == pytest.approx(5.566e14, rel=1e-3)
    assert SPACE.size == sum(sizes)
    tiny = pnas_space(blocks=2, operations=("identity", "sep3"))
    assert tiny.size == len(list(tiny.enumerate())) == 16 + 16 * 36


def test_swapped_halves_are_one_cell_and_what_is_written_reads_back() -> None:
    assert SPACE.parse("0:sep3+1:max3 2:sep5+0:avg3").key == SPACE.parse("1:max3+0:sep3 0:avg3+2:sep5").key
    assert SPACE.parse("0:sep3+1:max3").key != SPACE.parse("0:max3+1:sep3").key
    rng = np.random.default_rng(0)
    for architecture in (SPACE.sample(rng) for _ in range(30)):
        assert SPACE.parse(str(architecture)) == architecture == growing(SPACE, cells_of(architecture)[NORMAL])


def test_cells_of_one_and_of_five_blocks_have_networks() -> None:
    builder = SPACES.factory("pnas")(channels=4, cells=1, stages=2).builder()
    for text in ("0:sep3+1:max3", "0:sep3+1:max3 2:sep5+0:avg3 3:dil3+3:identity 0:sep3+1:sep3 1:max3+5:avg3"):
        params, macs = builder.size(builder.space.parse(text), (1, 8, 8), 10)
        assert params > 0
        assert macs > 0


# -- what is trained ------------------------------------------------------------


def test_1160_cells_are_trained_and_no_two_of_them_compute_the_same() -> None:
    trials = whole(start(pnas(epochs=1, members=1), SPACE), abreast=16)
    assert by_blocks(trials) == {1: 136, 2: 256, 3: 256, 4: 256, 5: 256}
    assert len({t.architecture.key for t in trials}) == 1160


def test_every_cell_grew_by_one_block_from_a_cell_that_was_trained() -> None:
    trials = whole(start(pnas(beam=12, epochs=2), SMALL))
    cells = [cells_of(t.architecture)[NORMAL] for t in trials]
    assert by_blocks(trials) == {1: 21, 2: 12, 3: 12}
    assert all(cell[:-1] in cells for cell in cells if len(cell) > 1)


def test_the_chosen_cells_are_the_best_predicted_of_all_that_can_be_made() -> None:
    search = start(pnas(beam=10, epochs=5), SMALL)
    trials = [_one(search) for _ in range(21)]
    chosen = {p.architecture.key for p in (search.ask() for _ in range(10)) if p is not None}
    tokens = CellTokens(4, ("identity", "max3", "sep3"), ("add",))
    best: dict[str, float] = {}
    for trial in trials:
        for block in legal_blocks(2, ("identity", "max3", "sep3")):
            cell = (*cells_of(trial.architecture)[NORMAL], block)
            told = float(search._ensemble.predict(np.array([[tokens.of(b) for b in cell]]))[0])
            key = growing(SMALL, cell).key
            best[key] = max(best.get(key, 0.0), told)
    ranked = sorted(best, key=lambda key: -best[key])
    assert min(best[key] for key in chosen) >= best[ranked[9]] - 1e-6


def _one(search: Widening) -> Trial:
    proposal = search.ask()
    assert proposal is not None
    trial = Trial(0, proposal.architecture, FULL, "ok", error(proposal.architecture), Cost(evaluations=1))
    search.tell(trial)
    return trial


def test_nothing_is_proposed_while_the_last_results_of_a_level_are_awaited() -> None:
    search = start(pnas(beam=5, epochs=1), SMALL)
    under_way = [search.ask() for _ in range(21)]
    assert search.ask() is None
    for number, proposal in enumerate(under_way):
        assert proposal is not None
        search.tell(Trial(number, proposal.architecture, FULL, "ok", 0.1 * (number % 7), Cost(evaluations=1)))
    following = search.ask()
    assert following is not None
    assert following.architecture["blocks"] == 2


def test_failed_cells_are_not_widened_and_nothing_but_failures_ends_the_search() -> None:
    banned = "0:identity+0:identity"
    trials = whole(start(pnas(beam=40, epochs=2), SMALL), lambda a: math.nan if str(a) == banned else error(a))
    assert not [t for t in trials if str(t.architecture).startswith(f"{banned} ")]
    assert by_blocks(whole(start(pnas(), SMALL), lambda a: math.nan)) == {1: 21}


# -- the predictor ------------------------------------------------------------


@pytest.mark.parametrize("kind", [Mlp(), Lstm()], ids=["mlp", "lstm"])
def test_the_predictor_reads_any_number_of_blocks_and_widened_agrees_with_predict(kind: Mlp | Lstm) -> None:
    rng, tokens = np.random.default_rng(0), CellTokens(6, LATER, ("add", "concat"))
    ensemble = CellEnsemble(Predictor(kind, members=2), tokens, rng)

    def drawn(cells: int, blocks: int) -> Any:
        return np.stack([rng.integers(tokens.sizes[kind], size=(cells, blocks)) for kind in tokens.kinds], -1)

    for blocks in (1, 2, 4):
        parents, added = drawn(3, blocks), drawn(5, 1)[:, 0]
        together = ensemble.widened(parents, added)
        for at, parent in enumerate(parents):
            rows = np.stack([np.concatenate([parent, block[None]]) for block in added])
            np.testing.assert_allclose(together[at], ensemble.predict(rows), atol=1e-6)


@pytest.mark.parametrize("kind", [Mlp(), Lstm()], ids=["mlp", "lstm"])
def test_predictions_lie_between_0_and_1_begin_at_the_sigmoid_of_the_bias_and_follow_the_data(kind: Mlp | Lstm) -> None:
    rng, tokens = np.random.default_rng(0), CellTokens(2, LATER, ("add",))
    rows = np.array([[tokens.of(block)] for block in legal_blocks(1, LATER)])
    target = np.array([1 - error(growing(SPACE, (block,))) for block in legal_blocks(1, LATER)])
    ensemble = CellEnsemble(Predictor(kind, members=2, epochs=60, bias=-2.0), tokens, rng)
    before = ensemble.predict(rows)
    np.testing.assert_allclose(before, 1 / (1 + math.exp(2.0)), atol=0.02)
    ensemble.fit({1: (rows, target)})
    after = ensemble.predict(rows)
    assert ((after > 0) & (after < 1)).all()
    assert np.abs(after - target).mean() < 0.2 * np.abs(before - target).mean()
    assert np.corrcoef(after, target)[0, 1] > 0.8


@pytest.mark.parametrize("level", [0.05, 0.5, 0.95])
def test_without_a_bias_the_first_fit_begins_at_the_median_of_the_data(level: float) -> None:
    rng, tokens = np.random.default_rng(0), CellTokens(2, LATER, ("add",))
    rows = np.array([[tokens.of(block)] for block in legal_blocks(1, LATER)])
    ensemble = CellEnsemble(Predictor(members=1, epochs=1, learning_rate=1e-9), tokens, rng)
    ensemble.fit({1: (rows, np.full(len(rows), level))})
    np.testing.assert_allclose(ensemble.predict(rows), level, atol=0.03)


def test_members_differ_and_no_global_generator_is_touched() -> None:
    before = torch.get_rng_state()
    tokens = CellTokens(2, LATER, ("add",))
    first, second = CellEnsemble(Predictor(members=2), tokens, np.random.default_rng(0)).members
    assert not torch.equal(first.head.weight, second.head.weight)
    assert torch.equal(torch.get_rng_state(), before)


# -- what is found ------------------------------------------------------------


def test_ranks_are_told_for_cells_seen_and_for_cells_one_block_larger() -> None:
    search = start(pnas(beam=40), SPACE)
    trials = whole(search)
    lines = search.trace()
    assert [line["blocks"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[0]["tau_seen"] > 0.5
    assert all(-1 <= line["tau_next"] <= 1 for line in lines[:-1])
    assert math.isnan(lines[-1]["tau_next"])
    rng = np.random.default_rng(0)
    drawn = [error(SPACE.sample(rng)) for _ in range(len(trials))]
    assert min(t.value for t in trials) < min(drawn)


def test_the_ranks_of_a_run_are_kept_in_its_record() -> None:
    space = Use("pnas", blocks=2, operations=("max3", "sep3"), channels=2, cells=1, stages=1)
    problem = Problem(space, "digits", Use("zero-cost", proxy="macs", batch_size=2))
    use = Use("pnas", beam=5, members=1, epochs=2)
    result = run_search(plan(Study("s", problem, [use], 1, Budget(evaluations=50))).runs[0])
    lines = read_traces(result.traces)
    assert lines is not None
    assert lines.column("blocks").to_pylist() == [1, 2]
    assert {"tau_seen", "tau_next"} <= set(lines.column_names)


def test_cells_of_fixed_size_are_unsupported() -> None:
    reason = Pnas().unsupported(Scenario(enas_micro(), Seeds("s", 0), Budget(evaluations=1)))
    assert "`enas-micro` have one size; see `pnas`" in str(reason)
    assert Pnas().unsupported(Scenario(SPACE, Seeds("s", 0), Budget(evaluations=1))) is None


@pytest.mark.parametrize(
    "wrong", [{"beam": 0}, {"first": -1}, {"members": 0}, {"epochs": 0}, {"beam": 2.5}], ids=lambda w: next(iter(w))
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match=f"`{next(iter(wrong))}` must be"):
        pnas(**wrong)
