"""How figures look: series that can be told apart, axes that one bad arm does not stretch, sizes for papers."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from searchbench.errors import InputError
from searchbench.reports.figures.cutting import cut, outlying
from searchbench.reports.figures.figure import PALETTE, Axis, Dots, Figure, Line, Spans, look
from searchbench.reports.figures.plotly import to_plotly
from searchbench.reports.figures.svg import COLUMN, PAGE, Paper, paper_of, to_svg

VISIONS = {
    "normal": np.eye(3),
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Linear RGB as it is seen, severity 1 (Machado, Oliveira & Fernandes 2009)."""
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour: str) -> np.ndarray:
    shares = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* under D65."""
    x = TO_XYZ @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_colours_stay_apart_for_colour_blind_readers(vision: str) -> None:
    seen = [lab(np.asarray(VISIONS[vision]) @ linear(colour)) for colour in PALETTE]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 14


@pytest.mark.parametrize("paper", ["#ffffff", "#12161b"])
def test_every_colour_stands_out_from_light_and_dark_paper(paper: str) -> None:
    behind = float(TO_XYZ[1] @ linear(paper))
    for colour in PALETTE:
        light, dark = sorted([float(TO_XYZ[1] @ linear(colour)), behind], reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 1.9


def test_forty_series_look_different() -> None:
    looks = [look(i) for i in range(40)]
    assert len({(one.colour, one.dash) for one in looks}) == 40
    assert len({(one.colour, one.symbol) for one in looks}) >= 35


def rows(values: dict[str, list[float]]) -> Figure:
    names = tuple(values)
    dots = tuple(Dots(name, own, [i] * len(own), i, legend=False) for i, (name, own) in enumerate(values.items()))
    return Figure("f", "F", "Runs.", Axis("error (%)"), Axis(categories=names), dots)


def test_one_bad_arm_does_not_squeeze_the_others_and_is_named() -> None:
    values = {f"s{i}": [6 + 0.1 * i, 6.2 + 0.1 * i, 6.4 + 0.1 * i] for i in range(10)} | {"generator": [35, 36, 37]}
    drawn = cut(rows(values), "x")
    assert drawn.x.shown is not None
    assert drawn.x.shown[1] < 8
    assert "The x axis is cut: beyond it lies generator at 36." in drawn.caption
    (told,) = to_plotly(drawn)["layout"]["annotations"]
    assert told["text"] == "36 →"
    assert to_plotly(drawn)["layout"]["xaxis"]["range"] == pytest.approx(drawn.x.shown, rel=1e-5)
    assert "36 →" in to_svg(drawn)


def test_a_single_stray_result_is_named_and_arms_that_are_merely_apart_are_not_cut() -> None:
    values = {f"s{i}": [6 + 0.1 * i + 0.05 * j for j in range(8)] for i in range(4)}
    values["s2"][3] = 90.0
    drawn = cut(rows(values), "x")
    assert "s2 at 90" in drawn.caption
    assert drawn.x.shown is not None
    assert drawn.x.shown[1] < 10
    even = {f"s{i}": [5.0 + 2 * i, 5.5 + 2 * i] for i in range(6)}
    assert cut(rows(even), "x").x.shown is None
    assert outlying({"a": (1, 2, 3), "b": (50, 51, 52)}) == []  # of two nobody is the odd one


def test_a_cut_axis_keeps_the_line_that_differences_are_read_against() -> None:
    spans = Spans("difference", [5, 5.5, 6, 60], [5.2, 5.7, 6.2, 61], [5.4, 5.9, 6.4, 62], [0, 1, 2, 3])
    figure = Figure("f", "F", "Differences.", Axis("d"), Axis(categories=tuple("abcd")), (spans,), vertical=(0.0,))
    shown = cut(figure, "x").x.shown
    assert shown is not None
    assert shown[0] < 0
    assert 6.4 < shown[1] < 10


@pytest.mark.parametrize(("paper", "points"), [(COLUMN, 234), (PAGE, 487)])
def test_vector_files_have_the_width_of_columns_and_text_of_the_papers_size(paper: object, points: int) -> None:
    lines = tuple(Line(f"a longer name {i}", [0, 1], [i, i + 1], i) for i in range(5))
    root = ET.fromstring(to_svg(Figure("f", "Title", "C.", Axis("x"), Axis("y"), lines), paper))  # type: ignore[arg-type]
    assert root.attrib["width"] == f"{points}pt"
    units = float(root.attrib["viewBox"].split()[2])
    assert float(root.attrib["font-size"]) * points / units == pytest.approx(8, rel=0.01)
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Title" not in words  # a paper says it in its caption


def test_the_width_of_a_figure_is_named_or_given_in_points() -> None:
    assert paper_of("page", 9) == Paper(487.0, 9)
    assert paper_of("300", 8) == Paper(300.0, 8)
    with pytest.raises(InputError, match="unknown figure width `wide`"):
        paper_of("wide", 8)
    with pytest.raises(InputError, match="100 to 2000 points wide"):
        paper_of("3", 8)


def test_a_long_title_of_a_short_axis_is_broken_into_two_lines() -> None:
    title = "validation error of the incumbent, which is long (%)"
    figure = Figure("f", "F", "C.", Axis("x"), Axis(title), (Line("a", [0, 1], [0, 1]),))
    words = [text.text for text in ET.fromstring(to_svg(figure, COLUMN)).iter("{http://www.w3.org/2000/svg}text")]
    assert title not in words
    assert " ".join(word for word in words if word and word in title and len(word) > 5) in (
        "incumbent, which is long (%) validation error of the", "which is long (%) validation error of the incumbent,",
    )  # fmt: skip
    assert title in "".join(text for text in ET.fromstring(to_svg(figure, PAGE)).itertext())
