"""Zero-cost proxies as features and as a belief."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchbench.errors import DataMissing, StudyError
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies import family
from searchbench.strategies.pibo import Believed
from searchbench.strategies.zero_cost_prior import ByRanks, WithRanks, zero_cost_prior
from searchbench.testing import Stage, check_strategy
from searchbench.testing.rehearsal import evaluate, scenario
from searchbench.trial import Proposal

CELLS = nasbench201()
SOME = [CELLS.sample(np.random.default_rng(at)) for at in range(40)]


def table(path: Path, values: list[float]) -> str:
    rows = [f"{architecture},{value}" for architecture, value in zip(SOME, values, strict=False)]
    path.write_text("\n".join(["architecture,value", *rows]) + "\n")
    return str(path)


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    """Two proxies: one of 4 architectures, in order, on a scale of powers of ten; one of 3, turned round."""
    return [table(tmp_path / "a.csv", [1e0, 1e3, 1e6, 1e9]), table(tmp_path / "b.csv", [3.0, 2.0, 1.0])]


def test_belief_is_one_minus_the_mean_rank_and_the_middle_for_what_is_unknown(tables: list[str]) -> None:
    acquisition: Any = zero_cost_prior(tables[0]).acquisition
    belief = acquisition.prior.of(CELLS)
    assert [belief.density(a) for a in SOME[:5]] == pytest.approx([7 / 8, 5 / 8, 3 / 8, 1 / 8, 1 / 2])
    both: Any = zero_cost_prior(tables).acquisition
    assert [both.prior.of(CELLS).density(a) for a in SOME[:4]] == pytest.approx([0.5] * 4)  # they cancel out
    rng = np.random.default_rng(0)
    drawn = [belief.sample(rng) for _ in range(400)]
    assert set(drawn) == set(SOME[:4])
    assert drawn.count(SOME[0]) > 4 * drawn.count(SOME[3])


def test_each_proxy_s_standing_is_a_feature(tables: list[str]) -> None:
    encoding: Any = zero_cost_prior(tables).encoding
    assert isinstance(encoding, WithRanks)
    width = len(CELLS.encode(SOME[0]))
    assert encoding.of(CELLS, SOME[0])[width:].tolist() == pytest.approx([1 / 8, 5 / 6])
    assert encoding.of(CELLS, SOME[3])[width:].tolist() == pytest.approx([7 / 8, 0.5])
    assert encoding.of(CELLS, SOME[0])[:width].tolist() == CELLS.encode(SOME[0]).tolist()


def test_ranks_count_ever_less(tables: list[str]) -> None:
    live: Any = Believed(ByRanks(zero_cost_prior(tables[0]).encoding.earlier), 10.0).start()  # type: ignore[attr-defined]
    live.consider(CELLS, SOME[:4], 1)
    early = live._weights
    live.consider(CELLS, SOME[:4], 100)
    assert early.tolist() == pytest.approx([(w / 8) ** 10 for w in (7, 5, 3, 1)])
    assert live._weights.tolist() == pytest.approx([(w / 8) ** 0.1 for w in (7, 5, 3, 1)])


def test_a_good_proxy_leads_to_better_architectures_than_a_bad_one(tmp_path: Path) -> None:
    truth = [evaluate(Proposal(a), at, "fair").value for at, a in enumerate(SOME)]
    found = []
    for name, sign in (("good.csv", 1.0), ("bad.csv", -1.0)):
        path = table(tmp_path / name, [sign * value for value in truth])
        strategy = zero_cost_prior(path, initial=3, trees=5, beta=50.0)
        search: Any = strategy.start(scenario(Stage(CELLS, 20), strategy, 0))
        values = []
        for number in range(12):
            trial = evaluate(search.ask(), number, "fair")
            search.tell(trial)
            values.append(trial.value)
        found.append(np.mean(values[3:]))
    assert found[0] < found[1]


def test_it_conforms_and_has_a_family(tables: list[str]) -> None:
    report = check_strategy(
        zero_cost_prior(tables, initial=6, trees=5, believed=20), trials=10, on=(Stage(CELLS, 10),), random=True
    )
    assert report.checks
    assert family("zero-cost-prior") == "Models of the objective"


def test_tables_are_needed(tmp_path: Path) -> None:
    with pytest.raises(DataMissing):
        zero_cost_prior(str(tmp_path / "missing.csv"))
    with pytest.raises(StudyError, match="at least one table"):
        ByRanks(())
