"""Whatever a study file holds, it is a study or one message: never a traceback, never an endless wait."""

from __future__ import annotations

import contextlib
import re
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchbench import Budget, Problem, Study, Use
from searchbench.errors import InputError, StudyError
from searchbench.estimators import ESTIMATORS
from searchbench.harness.declared.components import make
from searchbench.harness.declared.study_file import read_study, study_from_mapping

GOOD = """
name = "good"
seeds = 3
budget = { evaluations = 10 }
[[problems]]
space = "nasbench201"
task = "digits"
estimator = "table"
[[strategies]]
use = "random"
"""


def read(folder: Path, content: bytes) -> Study:
    path = folder / "study.toml"
    path.write_bytes(content)
    return read_study(path)


def test_a_byte_order_mark_is_no_part_of_the_study(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbf" + GOOD.encode()).name == "good"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("seeds = 3", "seeds = 10000000", "at most 100,000"),
        ("seeds = 3", "seeds = [9223372036854775808]", "beyond 64 bits"),
        ("seeds = 3", f"seeds = {'9' * 5000}", "cannot be read"),
        ("seeds = 3", f"seeds = 0x{'f' * 5000}", "beyond 64 bits"),
        ("evaluations = 10", f"evaluations = 0x{'f' * 500}", "beyond 64 bits"),
        ("evaluations = 10", "evaluations = inf", "positive and finite"),
        ('"random"', "[" * 5000 + "]" * 5000, "nested"),
        ('"random"', "[" * 100 + "]" * 100, "nested more than"),
        ('"good"', '"\\udcff"', "not valid TOML"),
    ],
)
def test_what_toml_leaves_open_is_refused_in_one_message(tmp_path, before, after, says):
    with pytest.raises(StudyError, match=says) as error:
        read(tmp_path, GOOD.replace(before, after).encode())
    assert len(str(error.value)) < 1000


def test_other_encodings_and_other_files_are_refused(tmp_path):
    for content in (GOOD.encode("utf-16"), b"\x00\xff", b"PK\x03\x04"):
        with pytest.raises(StudyError):
            read(tmp_path, content)
    with pytest.raises(StudyError):
        read_study(tmp_path)


def test_many_seeds_are_checked_in_a_moment():
    began = time.perf_counter()
    study = Study("many", Problem("nasbench201", "digits", "table"), ["random"], range(100_000), Budget(evaluations=1))
    assert len(study.seeds) == 100_000
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("seed", [2**63, 2**128 - 1, -(2**63) - 1])
def test_seeds_that_no_store_can_hold_are_refused_before_anything_runs(seed):
    with pytest.raises(StudyError, match="64-bit"):
        Study("s", Problem("nasbench201", "digits", "table"), ["random"], [0, seed], Budget(evaluations=1))


@pytest.mark.parametrize("part", ["name", "label"])
def test_a_text_that_no_file_can_hold_is_refused(part):
    name, label = ("\udcff", "l") if part == "name" else ("n", "\udcff")
    with pytest.raises(StudyError, match="written down"):
        Study(name, Problem("nasbench201", "digits", "table"), {label: "random"}, 1, Budget(evaluations=1))


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(2**70), st.floats(), st.text(st.characters(), max_size=8)
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
PATHS = [
    ("name",), ("seeds",), ("budget",), ("budget", "evaluations"), ("problems",), ("problems", 0), ("strategies",),
    ("strategies", 0), ("strategies", 0, "use"), ("strategies", 0, "label"), ("problems", 0, "space"),
    ("problems", 0, "task"), ("problems", 0, "estimator"), ("problems", 0, "judge"), ("problems", 0, "label"),
    ("problems", 0, "latency"), ("problems", 0, "constraint"), ("comparison",), ("comparison", "alpha"),
    ("comparison", "reference"), ("comparison", "rope"), ("ablation",), ("duplicates",),
]  # fmt: skip


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PATHS), VALUES)
def test_any_value_in_any_place_is_a_study_or_an_input_error(path, value):
    content = tomllib.loads(GOOD)
    content["comparison"] = {"baseline": "random"}
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with contextlib.suppress(InputError):
        hash(study_from_mapping(content).problems)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_to_a_file_is_a_study_or_an_input_error(tmp_path, data):
    content = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(InputError):
        read(tmp_path, bytes(content))


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ('use = "bananas"\ncandidates = nan', "`candidates` must be a whole number, but got nan"),
        ('use = "bananas"\nepochs = true', "`epochs` must be a whole number, but got True"),
        ('use = "hyperband"\nceiling = "zebra"', "`ceiling` must be true or false, but got 'zebra'"),
        ('use = "lanas"\nexploration = "high"', "`exploration` must be a number, but got 'high'"),
        ('use = "nsga2"\nobjectives = "value"', "`objectives` must be a list, but got 'value'"),
        ('use = "mnasnet"\nmetric = "macs"\ntarget = 1.0\nhard = -1', "`hard` must be true or false"),
        ('use = "regularized-evolution"\nremoval = "oldest"', "`removal` must be a part of its own"),
        ('use = "gp"\nacquisition = "ei"', "`acquisition` must be a part of its own"),
        ('use = "auto-keras"\nbeta = -1', "`beta` weighs the deviation and must not be negative, but got -1"),
        ('use = "local-search"\nmove = 1', "`move` must be a part of its own"),
        ('use = "ofa"\ndistillation = -1', "cannot weigh less than 0"),
        ('use = "asap"\nlast = 2.0', "temperatures fall"),
        ('use = "ppo"\npasses = 0', "`passes` at least 1"),
    ],
)
def test_a_parameter_of_another_kind_is_one_message(strategy, said, tmp_path):
    with pytest.raises(StudyError, match=re.escape(said)):
        read(tmp_path, GOOD.replace('use = "random"', strategy).encode()).strategies[0].make()


def test_a_path_may_be_given_where_a_text_is_wanted(tmp_path):
    assert make(Use("table", path=tmp_path / "cells.csv", validation=["v"], test=["t"]), ESTIMATORS)
