"""Genotypes in the literature's notation are drawn: both cells, every operation, its sources and the output."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from searchbench.reports import drawings, genotype_drawings
from searchbench.spaces.darts.published import PUBLISHED

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return [node.text for node in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_genotype_is_drawn_with_all_its_operations(name):
    svg = drawings.drawn(str(PUBLISHED[name]), "a & b")
    found = PUBLISHED[name]
    terms = [term for cell in (found.normal, found.reduce) for node in cell.nodes for term in node if term[0] != "none"]
    labels = texts(svg)
    assert sum(label.startswith("sep 3×3") for label in labels) == sum(op == "sep_conv_3x3" for op, _ in terms)
    assert labels.count("skip") == sum(op == "skip_connect" for op, _ in terms)
    assert labels.count("out") == 2
    assert {"normal", "reduce"} < set(labels)
    assert len(list(ET.fromstring(svg).iter(f"{SVG}path"))) == len(terms) + len(found.normal.concat) + len(
        found.reduce.concat
    )


def test_two_operations_between_the_same_states_lie_apart():
    cells = genotype_drawings.parse(str(PUBLISHED["NASNet"]))  # avg:0 avg:0
    paths = [node.get("d") for node in ET.fromstring(genotype_drawings.to_svg(cells, "")).iter(f"{SVG}path")]

    normal = paths[: 10 + 5]
    assert len(set(normal)) == len(normal)


def test_a_plain_convolution_is_called_one():
    assert {"conv 3×3", "conv 3×1 1×3", "dil 3×3", "max 5×5"} < set(texts(drawings.drawn(str(PUBLISHED["NASP"]), "")))


def test_an_operation_that_carries_nothing_is_not_drawn():
    text = str(PUBLISHED["DARTS_V1"]).replace("('sep_conv_3x3', 1)", "('none', 1)", 1)
    assert texts(drawings.drawn(text, "")).count("sep 3×3") == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Genotype(normal=[])",
        "Genotype(normal=[('skip_connect', 7), ('skip_connect', 0)], normal_concat=[2], reduce=[], reduce_concat=[])",
        str(PUBLISHED["DARTS_V1"]).replace("('sep_conv_3x3', 1), ", "", 1),
        str(PUBLISHED["DARTS_V1"]).replace("('sep_conv_3x3', 1)", "sep(1)", 1),
    ],
)
def test_what_is_no_genotype_is_left_undrawn(text):
    assert drawings.drawn(text, "") is None
