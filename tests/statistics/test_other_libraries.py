"""Where another library answers the same question, the answers agree. Each is skipped where it is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from searchbench import statistics as st

RNG = np.random.default_rng(11)


def library(name: str) -> Any:
    """The module, imported without what it warns of while it is imported."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name} is not installed")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n", [6, 12, 20])
def test_pingouin_agrees_on_pairs(n: int) -> None:
    pingouin = library("pingouin")
    x, y = RNG.normal(0, 1, n), RNG.normal(0.4, 1.3, n)
    ours = st.paired(x, y, better="lower")
    wilcoxon = pingouin.wilcoxon(x, y).iloc[0]
    assert ours["wilcoxon_p"] == pytest.approx(wilcoxon.filter(regex="p.val").iloc[0])
    assert ours["rank_biserial"] == pytest.approx(wilcoxon["RBC"])
    assert ours["cohen_d_av"] == pytest.approx(pingouin.compute_effsize(x, y, paired=True, eftype="cohen"))
    t = pingouin.ttest(x, y, paired=True).iloc[0]
    assert ours["t_p"] == pytest.approx(t.filter(regex="p.val").iloc[0])


@pytest.mark.filterwarnings("ignore")
def test_pingouin_agrees_on_independent_arms() -> None:
    pingouin = library("pingouin")
    x, y = RNG.normal(0, 1, 14), RNG.normal(0.4, 1.3, 9)
    welch = pingouin.ttest(x, y, correction=True).iloc[0]
    ours = st.welch(x, y, better="lower")
    assert (ours["t"], ours["df"]) == (pytest.approx(welch["T"]), pytest.approx(welch["dof"]))
    ranks = pingouin.mwu(x, y).iloc[0]
    own = st.mann_whitney(x, y, better="lower")
    assert own["A12"] == pytest.approx(ranks["CLES"])
    assert own["cliffs_delta"] == pytest.approx(-ranks["RBC"]) or own["cliffs_delta"] == pytest.approx(ranks["RBC"])


@pytest.mark.filterwarnings("ignore")
def test_scikit_posthocs_agrees_on_nemenyi() -> None:
    posthocs = library("scikit_posthocs")
    x = RNG.normal(0, 1, (14, 4)) + np.array([0.0, 0.3, 0.8, 1.5])
    theirs = posthocs.posthoc_nemenyi_friedman(x).to_numpy()
    ours = st.nemenyi(x, better="lower")
    for i in range(4):
        for j in range(i + 1, 4):
            assert ours["p_matrix"][i][j] == pytest.approx(theirs[i, j], abs=2e-3)


@pytest.mark.filterwarnings("ignore")
def test_rliable_agrees_on_the_interquartile_mean_and_the_probability_of_improvement() -> None:
    metrics = library("rliable.metrics")
    x, y = RNG.normal(0, 1, (12, 5)), RNG.normal(0.5, 1, (12, 5))
    assert st.iqm(x).estimate == pytest.approx(metrics.aggregate_iqm(x))
    assert st.probability_of_improvement(x, y).estimate == pytest.approx(metrics.probability_of_improvement(x, y))
    assert st.iqm(x)["optimality_gap_gamma1"] == pytest.approx(metrics.aggregate_optimality_gap(x))
