"""How papers are written: a change of first-order DARTS, with a signature that can be described and checked."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import replace

import pytest
from click.testing import CliRunner

from searchbench.cli.entry import cli
from searchbench.errors import StudyError
from searchbench.harness.declared.components import Use, make
from searchbench.strategies import STRATEGIES
from searchbench.strategies.differentiable import Proximity
from searchbench.strategies.differentiable.papers import darts, on_darts, p_darts
from searchbench.strategies.differentiable.papers_prime import darts_pr

PAPERS = [
    name
    for name in STRATEGIES.builtin
    if ".differentiable." in STRATEGIES.factory(name).__module__ and name != "recurrent"
]


@on_darts("order", alpha_lr=0.5)
def doubled(host, factor=2.0):
    """Twice the rate."""
    return replace(host, alphas=replace(host.alphas, lr=factor * host.alphas.lr))


def test_a_paper_takes_the_settings_of_its_host_and_then_its_own():
    told = {name: parameter.default for name, parameter in inspect.signature(doubled).parameters.items()}
    assert told == {
        "epochs": None, "batch_size": 64, "lr": 0.025, "alpha_lr": None, "settings": "budget", "order": ("w", "alpha"),
        "none": "excluded", "factor": 2.0,
    }  # fmt: skip
    assert doubled(3, alpha_lr=0.5, factor=4.0).alphas.lr == 2.0
    assert doubled(3, 16).weights == darts(3, 16).weights
    assert doubled.__doc__ == "Twice the rate."


@pytest.mark.parametrize("wrong", [{"ratio": 3}, {"speed": 1}])
def test_what_a_paper_does_not_take_is_refused(wrong):
    with pytest.raises(TypeError, match=next(iter(wrong))):
        doubled(**wrong)


def test_positional_and_named_settings_are_the_same():
    named = inspect.signature(darts_pr).parameters
    given = {
        "epochs": 5,
        "batch_size": 32,
        "lr": 0.1,
        "alpha_lr": 0.01,
        "order": ("alpha", "w"),
        "ratio": 3,
        "rho": 0.2,
    }
    in_order = [given.get(name, parameter.default) for name, parameter in named.items()]
    assert darts_pr(*in_order) == darts_pr(**given)
    assert darts_pr(5, rho=0.2).regularise == (Proximity(0.2),)


@pytest.mark.parametrize("name", PAPERS)
def test_every_paper_passes_all_its_settings_on(name):
    factory = STRATEGIES.factory(name)
    given = factory(epochs=7, batch_size=11, lr=0.07, alpha_lr=0.013)
    assert (given.weights.epochs, given.weights.batch_size, given.weights.lr) == (7, 11, 0.07)
    assert given.alphas.lr == 0.013
    assert pickle.loads(pickle.dumps(factory)) is factory
    accepted = inspect.signature(factory).parameters
    if "ratio" in accepted:
        assert factory(ratio=4).split.r == 4
    if "order" in accepted:
        schedule = factory(order=("alpha", "w")).schedule
        assert getattr(schedule, "then", schedule).order == ("alpha", "w")


def test_a_misspelt_setting_of_a_paper_is_told_before_anything_runs():
    with pytest.raises(StudyError, match="strategy `p-darts` has no parameter `epoch`; did you mean `epochs`"):
        make(Use("p-darts", epoch=3), STRATEGIES)
    assert make(Use("p-darts", epochs=3), STRATEGIES) == p_darts(epochs=3)


def test_a_paper_is_described_with_every_parameter():
    said = CliRunner().invoke(cli, ["describe", "p-darts"])
    assert said.exit_code == 0, said.output
    for words in ("P-DARTS: stages with ever fewer operations", "batch_size", "96", "alpha_lr", "settings", "depths"):
        assert words in said.output
