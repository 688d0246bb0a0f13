from __future__ import annotations

import math
import pickle
import tomllib

import numpy as np
import pytest
from scipy import stats

from searchbench.errors import InputError, SpaceError, StudyError
from searchbench.harness.declared.components import as_use, make
from searchbench.spaces import SPACES
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.hyperparameters import hyperparameters

DECLARED = """
use = "hyperparameters"
lr = { float = [1e-4, 1e-1], log = true }
units = { int = [16, 512], log = true }
optimizer = ["sgd", "adam"]
momentum = { float = [0.0, 0.99], when = { optimizer = "sgd" } }
nesterov = { choice = [true, false], when = { optimizer = ["sgd"] } }
"""


def from_file(text):
    return make(as_use(tomllib.loads(text), "space"), SPACES)


def test_a_study_file_declares_numbers_scales_categories_and_conditions():
    space = from_file(DECLARED)
    assert set(space.decisions) == {
        Float("lr", 1e-4, 1e-1, log=True),
        Integer("units", 16, 512, log=True),
        Choice("optimizer", ("sgd", "adam")),
        Float("momentum", 0.0, 0.99, when=When("optimizer", ("sgd",))),
        Choice("nesterov", (True, False), when=When("optimizer", ("sgd",))),
    }
    assert space.size == math.inf


def test_what_depends_on_another_comes_after_it_however_it_is_declared():
    given = {"a": {"choice": [1, 2], "when": {"b": 3}}, "b": {"choice": [3, 4], "when": {"c": "x"}}, "c": ["x", "y"]}
    assert [d.name for d in hyperparameters(**given).decisions] == ["c", "b", "a"]


def test_python_and_the_study_file_declare_the_same_space():
    python = hyperparameters(
        lr={"float": [1e-4, 1e-1], "log": True},
        units={"int": (16, 512), "log": True},
        optimizer=["sgd", "adam"],
        momentum={"float": [0.0, 0.99], "when": {"optimizer": "sgd"}},
        nesterov={"choice": [True, False], "when": {"optimizer": ["sgd"]}},
    )
    assert set(python.decisions) == set(from_file(DECLARED).decisions)


def test_points_read_back_and_inactive_parameters_never_influence_the_key():
    space = pickle.loads(pickle.dumps(from_file(DECLARED)))
    rng = np.random.default_rng(0)
    for _ in range(100):
        point = space.sample(rng)
        assert space.parse(str(point)) == point
        assert (point["momentum"] is None) == (point["optimizer"] == "adam")
        assert "momentum" not in point.key or point["optimizer"] == "sgd"


def test_a_log_scale_is_drawn_evenly_in_the_logarithm():
    space, rng = from_file(DECLARED), np.random.default_rng(0)
    drawn = np.log10([space.sample(rng)["lr"] for _ in range(2000)])
    assert stats.kstest(drawn, stats.uniform(-4, 3).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({}, "at least one"),
        ({"lr": 0.1}, "list of options"),
        ({"lr": []}, "list of options"),
        ({"lr": {"floats": [0, 1]}}, "float"),
        ({"lr": {"log": True}}, "exactly one"),
        ({"lr": {"float": [0, 1], "int": [0, 1]}}, "exactly one"),
        ({"lr": {"float": [0]}}, r"\[low, high\]"),
        ({"n": {"int": [0.5, 2]}}, "whole numbers"),
        ({"lr": {"float": [1, 0]}}, "low <= high"),
        ({"lr": {"float": [0, 1], "log": True}}, "low > 0"),
        ({"lr": {"float": [0, 1], "log": "yes"}}, "true or false"),
        ({"o": {"choice": ["a"], "log": True}}, "no log scale"),
        ({"a": {"choice": [1], "when": {"bb": 1}}, "b": [1, 2]}, "not declared"),
        ({"a": {"choice": [1], "when": {"b": 3}}, "b": [1, 2]}, "cannot be"),
        ({"a": {"choice": [1], "when": "b"}, "b": [1, 2]}, "must name one other"),
        ({"a": {"choice": [1], "when": {"b": 1}}, "b": {"choice": [1], "when": {"a": 1}}}, "circle"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_reason(declared, says):
    with pytest.raises(InputError, match=says):
        hyperparameters(**declared)


def test_it_has_no_networks():
    with pytest.raises(SpaceError, match="no networks"):
        hyperparameters(a=[1, 2]).builder()


def test_decisions_of_python_get_their_names_from_the_mapping():
    space = hyperparameters(
        opt=Choice(["sgd", None, [1, 2]]), lr=Float(1e-4, 1, log=True), momentum=Float(0, 1, when=When("opt", "sgd"))
    )
    assert set(space.decisions) == {
        Choice("opt", ("sgd", None, (1, 2))),
        Float("lr", 1e-4, 1.0, log=True),
        Float("momentum", 0.0, 1.0, when=When("opt", ("sgd",))),
    }
    with pytest.raises(StudyError, match="is given a decision named `rate`"):
        hyperparameters(lr=Float("rate", 0, 1))
    with pytest.raises(SpaceError, match="must be numbers"):
        Float("a", "b", "c")
