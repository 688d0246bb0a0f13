"""Multi-fidelity searches on recorded learning curves, through the table, the lab and the ledger."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from searchbench.cost import Budget
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.results.columns import read_trials
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice
from searchbench.spaces.space import Space
from searchbench.strategies.asha import Asha
from searchbench.strategies.bohb import Bohb
from searchbench.strategies.halving import Hyperband
from searchbench.strategies.strategy import Scenario, Strategy
from searchbench.tables.table import Table
from searchbench.trial import Fidelity

SPACE = Space("letters", tuple(Choice(f"d{at}", ("p", "q", "r", "s")) for at in range(4)))
STOPS = (1.0, 3.0, 9.0, 27.0)
SECONDS = 270.0


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Errors that fall from chance as e^-t/9 to what the letters are worth; 270 seconds for 27 epochs."""
    rng, rows = np.random.default_rng(0), []
    for architecture in SPACE.enumerate():
        last = 0.1 + 0.05 * sum("pqrs".index(str(v)) for v in architecture.values) / 4
        curve = {f"e{s:g}": last + (0.9 - last) * np.exp(-s / 9) + 0.01 * rng.normal() for s in STOPS}
        rows.append({"arch": str(architecture), **curve, "seconds": SECONDS})
    found: Path = tmp_path_factory.mktemp("curves") / "curves.csv"
    pd.DataFrame(rows).to_csv(found, index=False)
    return found


def searched(strategy: Strategy, path: Path, workers: int = 1, epochs: float = 600.0) -> tuple[Any, MeteredLab]:
    fidelity = {f"{s:g}": f"e{s:g}" for s in STOPS[:-1]}
    table = Table(
        str(path), architecture="arch", validation=("e27",), epochs=27, fidelity=fidelity, seconds="seconds",
        higher_is_better=False,
    )  # fmt: skip
    seeds = Seeds("curves", 0, repr(strategy))
    scenario = Scenario(SPACE, seeds, Budget(epochs=epochs), Fidelity(27.0), stops=STOPS)
    lab = MeteredLab(scenario, table.open(SPACE, None, seeds), "charge")  # type: ignore[arg-type]
    drive(strategy.start(scenario), lab, workers=workers)
    return read_trials(lab.columns.to_bytes()).to_pandas().sort_values("number"), lab


STRATEGIES: dict[str, Strategy] = {"asha": Asha(eta=3), "bohb": Bohb(), "hyperband": Hyperband()}


@pytest.mark.parametrize("workers", [1, 5])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_continued_training_is_charged_the_increment_alone(name: str, workers: int, path: Path) -> None:
    trials, lab = searched(STRATEGIES[name], path, workers)
    epochs = dict(zip(trials["number"], trials["fidelity_epochs"], strict=True))
    increments = {
        number: epochs[number] - (epochs[int(resumed)] if resumed >= 0 else 0.0)
        for number, resumed in zip(trials["number"], trials["resumed"], strict=True)
    }
    continued = trials[trials["resumed"].notna()]
    assert len(continued) > 10
    assert lab.spent.epochs == pytest.approx(sum(increments.values()))
    assert lab.spent.epochs < sum(epochs.values())
    assert lab.spent.simulated_s == pytest.approx(sum(increments.values()) * SECONDS / 27)
    assert lab.spent.epochs <= 600.0
    by_order = trials.set_index("number")["spent_epochs"]
    if workers == 1:
        charged = np.diff([0.0, *by_order])
        np.testing.assert_allclose(charged, list(increments.values()))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_continued_training_goes_on_along_its_own_recorded_curve(name: str, path: Path) -> None:
    trials, _ = searched(STRATEGIES[name], path)
    table = pd.read_csv(path).set_index("arch")
    architectures = dict(zip(trials["number"], trials["architecture"], strict=True))
    for row in trials.itertuples():
        assert row.value == pytest.approx(table.loc[row.architecture, f"e{row.fidelity_epochs:g}"])
        if row.resumed >= 0:
            assert architectures[int(row.resumed)] == row.architecture


def test_promotions_of_asha_keep_their_bound_in_the_record_at_every_moment(path: Path) -> None:
    trials, _ = searched(Asha(eta=3, slack=1), path, workers=7, epochs=2000.0)
    for low, high in itertools.pairwise(STOPS):
        finished = promoted = 0
        for epochs in trials["fidelity_epochs"]:
            finished += epochs == low
            promoted += epochs == high
            assert promoted <= finished // 3 + 1


def test_bohb_follows_its_model_on_curves_and_ends_below_random_halving(path: Path) -> None:
    best = {}
    for name, random_fraction in (("model", 0.0), ("random", 1.0)):
        found = []
        for spread in (3.0, 2.9, 2.8, 2.7, 2.6):  # other descriptions, other streams
            trials, _ = searched(Bohb(random_fraction=random_fraction, spread=spread), path, epochs=1500.0)
            found.append(trials[trials["fidelity_epochs"] == 9.0]["value"].mean())
        best[name] = float(np.mean(found))
    assert best["model"] < best["random"]
