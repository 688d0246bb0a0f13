from __future__ import annotations

import math

import numpy as np
import pytest

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.darts.genotypes import GenotypeCell, compact, read
from searchbench.spaces.darts.nasp import darts_nasp
from searchbench.spaces.darts.published import PUBLISHED, uniform
from searchbench.spaces.darts.space import darts, genotype

SPACE = darts()


def test_there_are_1_037_664_180_cells_of_a_type():
    assert SPACE.size == 1_037_664_180**2
    assert math.prod(d.arity for d in SPACE.decisions[:11]) == 1_037_664_180


@pytest.mark.parametrize("name", [n for n in PUBLISHED if not n.startswith(("NASNet", "AmoebaNet", "NASP", "Fair"))])
def test_published_genotypes_are_read_and_printed_in_the_literatures_notation(name):
    text = str(PUBLISHED[name])
    assert read(text) == PUBLISHED[name]
    found = SPACE.parse(text)
    assert SPACE.parse(str(found)) == found
    assert {frozenset(node) for node in genotype(found).normal.nodes} == {
        frozenset(node) for node in PUBLISHED[name].normal.nodes
    }


@pytest.mark.parametrize("name", ["NASP", *(f"FairDARTS_{letter}" for letter in "abcdefg")])
def test_genotypes_of_larger_operations_and_of_fewer_inputs_are_read_and_printed(name):
    space = darts_nasp() if name == "NASP" else darts(sparse=True)
    found = space.parse(str(PUBLISHED[name]))
    assert space.parse(str(found)) == found
    for ours, listed in zip(genotype(found).normal.nodes, PUBLISHED[name].normal.nodes, strict=True):
        assert {term for term in ours if term[0] != "none"} == {term for term in listed if term[0] != "none"}


def test_cells_of_fewer_inputs_are_read_as_their_authors_write_them():
    text = (
        "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_5x5', 2, 1), ('max_pool_3x3', 4, 0), "
        "('sep_conv_3x3', 5, 0)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 2, 0), ('avg_pool_3x3', 2, 1), "
        "('avg_pool_3x3', 3, 0), ('dil_conv_5x5', 3, 1), ('avg_pool_3x3', 4, 0), ('sep_conv_5x5', 4, 1), "
        "('skip_connect', 5, 0), ('skip_connect', 5, 1)], reduce_concat=range(2, 6))"
    )
    assert read(text) == PUBLISHED["FairDARTS_a"]
    assert darts(sparse=True).parse(text) == darts(sparse=True).parse(str(PUBLISHED["FairDARTS_a"]))
    for wrong, rule in (
        (text.replace("('max_pool_3x3', 4, 0)", "('max_pool_3x3', 2, 0)"), "state 2 has 3"),
        (text.replace("('max_pool_3x3', 4, 0)", "('max_pool_3x3', 4)"), "pairs"),
        (text.replace("('max_pool_3x3', 4, 0)", "('max_pool_3x3', 4, 4)"), "comes later"),
    ):
        with pytest.raises(SpaceError, match=rule):
            read(wrong)


def test_the_original_repr_is_understood():
    text = (
        "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), "
        "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], "
        "normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
        "('max_pool_3x3', 0), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], "
        "reduce_concat=range(2, 6))"
    )
    assert read(text) == PUBLISHED["DARTS_V1"]


def test_published_normal_cells_have_the_known_numbers_of_skips():
    skips = {
        "DARTS_V1": 3,
        "DARTS_V2": 2,
        "PDARTS": 2,
        "PC_DARTS_cifar": 1,
        "PC_DARTS_image": 2,
        "SNAS": 4,
        "GDAS_V1": 4,
    }
    for name, number in skips.items():
        assert sum(op == "skip_connect" for node in PUBLISHED[name].normal.nodes for op, _ in node) == number


def test_renumbered_cells_are_the_same_architecture_and_rewired_ones_are_not():
    reduce = "max:0 max:1 | max:0 max:1 | max:0 max:1 | max:0 max:1"
    one = compact("sep3:0 skip:1 | dil3:0 max:1 | sep5:2 skip:3 | avg:0 avg:1", reduce)
    same = compact("dil3:0 max:1 | sep3:0 skip:1 | avg:0 avg:1 | sep5:3 skip:2", reduce)
    other = compact("dil3:0 max:1 | sep3:0 skip:1 | avg:0 avg:1 | sep5:2 skip:3", reduce)
    keys = [SPACE.parse(str(g)).key for g in (one, same, other)]
    assert keys[0] == keys[1] != keys[2]


def test_equal_nodes_are_told_apart_by_who_reads_them():
    reduce = "max:0 max:1 | max:0 max:1 | max:0 max:1 | max:0 max:1"
    shared = compact("sep3:0 sep3:1 | sep3:0 sep3:1 | skip:0 avg:2 | skip:1 avg:2", reduce)
    apart = compact("sep3:0 sep3:1 | sep3:0 sep3:1 | skip:0 avg:2 | skip:1 avg:3", reduce)
    swapped = compact("sep3:0 sep3:1 | sep3:0 sep3:1 | skip:0 avg:3 | skip:1 avg:2", reduce)
    keys = [SPACE.parse(str(g)).key for g in (shared, apart, swapped)]
    assert keys[0] != keys[1] == keys[2]


def test_the_key_does_not_depend_on_how_a_random_cell_is_numbered():
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = SPACE.sample(rng)
        assert SPACE.parse(str(drawn)).key == drawn.key


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Genotype(normal=[])", "normal_concat"),
        (str(uniform("skip")).replace("('skip_connect', 1)", "('skip_connect', 0)", 1), "twice"),
        (str(uniform("skip")).replace("('skip_connect', 1)", "('skip_connect', 5)", 1), "comes later"),
        (str(uniform("skip")).replace("'skip_connect', 1", "'swish', 1", 1), "swish"),
        (str(PUBLISHED["NASNet"]), "nodes 2 to 5"),
    ],
)
def test_impossible_genotypes_are_refused(text, rule):
    with pytest.raises(SpaceError, match=rule):
        SPACE.parse(text)


def test_nodes_that_nothing_reaches_are_dropped_with_the_edges_that_leave_them():
    cell = GenotypeCell(
        ((("none", 0), ("none", 1)), (("skip_connect", 0), ("sep_conv_3x3", 2)), (("avg_pool_3x3", 2),), ()),
        (2, 3, 4, 5),
    )
    assert cell.existing.nodes == ((), (("skip_connect", 0),), (), ())
    assert cell.existing.concat == (3,)
    with pytest.raises(SpaceError, match="nothing reaches"):
        GenotypeCell(((("none", 0),),), (2,)).existing.existing


@pytest.mark.parametrize(
    "settings", [{"channels": 3}, {"cells": 2}, {"operations": ("none",)}, {"operations": ("swish",)}, {"stem": "x"}]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(StudyError, match="darts"):
        darts(**settings)
