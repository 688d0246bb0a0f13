"""The leaderboard: what its numbers are, what it keeps apart, and that every rendering shows the same."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from searchbench.cost import Cost
from searchbench.errors import InputError
from searchbench.reports.leaderboard import Leaderboard, build, leaderboard
from searchbench.reports.render import FORMATS, render
from searchbench.reports.render.cells import budget, columns, count, memory, seconds
from searchbench.reports.render.latex import escape
from searchbench.reports.rows import COLUMNS, Row
from searchbench.results.history import History
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import open_store

LABELS = ("random", "RE P=30 — α_max & 50% {größer}", "日本語", "one | run", "broken", "$x^2$ ~#\\")
BUDGET = {"evaluations": 100.0}


def a_study(seeds: int = 4, skipped: bool = True, **changed: object) -> StudyRecord:
    planned = [
        {"run_id": f"{label}/{seed}", "strategy": label, "problem": "digits", "replicate": seed}
        for seed in range(seeds)
        for label in LABELS
        if seed == 0 or label != "one | run"
    ]
    reasons = [{"strategy": "enas", "problem": "digits", "reason": "needs a supernet"}] if skipped else []
    spec = {
        "budget": BUDGET,
        "problems": [{"label": "digits", "fingerprint": "f"}],
        "planned": planned,
        "skipped": reasons,
    }
    return StudyRecord("first", json.dumps(spec | changed), "2025-01-01T00:00:00+00:00")


def a_run(strategy: str, seed: int, **changed: object) -> RunRecord:
    i = LABELS.index(strategy) + 1
    plain = {
        "run_id": f"{strategy}/{seed}", "study": "first", "strategy": strategy, "description": "S()",
        "problem": "digits", "fingerprint": "f", "budget": json.dumps(BUDGET), "replicate": seed, "status": "ok",
        "ended": "budget", "trials": b"", "started": "t0", "finished": "t1", "value": 0.05 * i + 0.003 * seed,
        "cost": Cost(evaluations=90 + seed, epochs=1.5 * i, train_samples=1000 * i, macs=10**13 * i, host_s=0.01 * i,
                     device_s=70.0 * i, peak_memory_bytes=3 * 10**8),
        "test_status": "ok", "test_error": 0.06 * i + 0.007 * seed,
        "test_metrics": {"params": 1.5e6 * i, "macs": 2.5e7 + seed},
    }  # fmt: skip
    return RunRecord.flat(**(plain | changed))


def the_runs() -> list[RunRecord]:
    runs = [a_run(label, seed) for seed in range(4) for label in LABELS if label not in ("one | run", "broken")]
    runs = [run for run in runs if run.run_id != "random/3"]  # not yet run
    failed = {"status": "failed", "error": "Traceback …\n  File x\nValueError: boom [red]", "test_status": None}
    runs += [a_run("broken", seed, **failed, test_error=math.nan, value=math.nan) for seed in range(4)]
    runs += [a_run("one | run", 0)]
    runs[0] = a_run(LABELS[0], 0, test_status="nan", test_error=math.nan, test_failure="loss became NaN")
    return runs


@pytest.fixture
def board() -> Leaderboard:
    return build(a_study(), the_runs()).sorted("test_error")


def test_numbers_are_those_of_the_judged_runs(board: Leaderboard) -> None:
    row = next(r for r in board.blocks[0].rows if r.strategy == "日本語")
    errors = [0.18 + 0.007 * seed for seed in range(4)]
    assert row.n == 4
    assert row.test_error.mean == pytest.approx(statistics.mean(errors), rel=1e-15)
    assert row.test_error.std == pytest.approx(statistics.stdev(errors), rel=1e-12)
    assert row.cost["evaluations"] == 91.5
    assert row.cost["samples"] == 3000
    assert row.cost["macs"] == 3e13
    assert row.params == 4.5e6


def test_failures_missing_runs_and_failed_judgings_are_counted_apart(board: Leaderboard) -> None:
    rows = {row.strategy: row for row in board.blocks[0].rows}
    assert (rows["random"].n, rows["random"].total, rows["random"].failed) == (2, 3, 0)
    assert (rows["random"].judge_failed, rows["random"].missing) == (1, 1)
    assert (rows["broken"].n, rows["broken"].total, rows["broken"].failed) == (0, 4, 4)
    assert board.blocks[0].failures == (
        ("broken", "ValueError: boom [red]", 4),
        ("random", "judging: loss became NaN", 1),
    )


def test_a_strategy_without_a_single_run_still_has_its_row() -> None:
    (block,) = build(a_study(), []).blocks
    assert [row.strategy for row in block.rows] == list(LABELS)
    assert all((row.n, row.total) == (0, 0) for row in block.rows)
    assert "planned runs are not recorded yet" in render(build(a_study(), []), "rich")


def test_sorted_by_test_error_with_the_failed_last(board: Leaderboard) -> None:
    rows = board.blocks[0].rows
    means = [row.test_error.mean for row in rows]
    assert means[:-2] == sorted(means[:-2])
    assert [row.strategy for row in rows[-2:]] == ["random", "broken"]  # a third of random's runs gave no test error
    assert "not ranked, because more than a fifth of the runs failed: random, broken" in render(board, "md")


@pytest.mark.parametrize("by", ["-params", "cost_macs", "strategy", "-strategy", "value", "host_s", "-n"])
def test_any_column_sorts_up_or_down(board: Leaderboard, by: str) -> None:
    rows = board.sorted(by).blocks[0].rows
    key = {"value": "value_mean", "host_s": "cost_host_s"}.get(by.removeprefix("-"), by.removeprefix("-"))
    shown = [row.values()[key] for row in rows[:-1]]
    assert shown == sorted(shown, reverse=by.startswith("-"))
    assert rows[-1].strategy == "broken"


def test_an_unknown_column_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"cannot sort by `test_eror`; did you mean `test_error`"):
        build(a_study(), the_runs()).sorted("test_eror")


@pytest.mark.parametrize(
    "changed",
    [{"fingerprint": "g"}, {"budget": '{"evaluations": 50}'}, {"protocol": "best_of_k"}, {"description": "S(2)"}],
)
def test_runs_that_are_not_comparable_stand_in_an_unranked_block(changed: dict[str, str]) -> None:
    # an earlier declaration's run has another id, unless only the protocol differs
    old = [a_run(label, 0, run_id=f"old {label}", test_error=0.001, **changed) for label in ("random", "日本語")]
    ranked, unranked = build(a_study(), [*the_runs(), *old]).sorted("test_error").blocks
    assert ranked == build(a_study(), the_runs()).sorted("test_error").blocks[0]
    assert not unranked.ranked
    assert [row.strategy for row in unranked.rows] == ["random", "日本語"]
    assert "not comparable" in render(build(a_study(), [*the_runs(), *old]), "md")


def test_a_study_that_lists_no_ids_is_matched_by_fingerprint_and_budget() -> None:
    odd = a_run("random", 9, run_id="odd", budget='{"evaluations": 7}')
    ranked, unranked = build(a_study(planned=[]), [*the_runs(), odd]).blocks
    assert sum(row.total for row in ranked.rows) == len(the_runs())
    assert sum(row.total for row in unranked.rows) == 1


def test_every_column_is_in_values_in_that_order(board: Leaderboard) -> None:
    assert tuple(board.blocks[0].rows[0].values()) == COLUMNS


def _from_markdown(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in (lines[0], *lines[2:])]
    plain = [[cell.strip().removeprefix("**").removesuffix("**") for cell in line] for line in cells]
    return [[re.sub(r"\\(.)", r"\1", cell) for cell in line] for line in plain]


def _from_latex(text: str) -> list[list[str]]:
    """Cells as they read: a mean and its spread stand in two columns, a heading of two lines in a stack."""
    kinds = re.sub(r">\{.*?\}", "", re.findall(r"\\begin\{tabular\}\{(.*)\}\n", text)[0])
    pairs = [bool(spread) for spread in re.findall(r"[lr]|p\{.*?\}|S\[.*?\](@\{.*?\}S\[.*?\])?", kinds)]
    lines = [line.strip().removesuffix(r" \\") for line in text.splitlines() if line.endswith(r" \\")]
    return [_read_line(re.split(r"(?<!\\) & ", line), pairs) for line in lines]


def _read_line(cells: list[str], pairs: list[bool]) -> list[str]:
    left = iter(cells)
    found = []
    for pair in pairs:
        cell = next(left)
        if pair and not cell.startswith(r"\multicolumn"):
            cell = f"{cell.removeprefix(BOLD)} $\\pm$ {next(left).removeprefix(BOLD)}"
        cell = re.sub(r"^\\multicolumn\{2\}\{c\}", "", cell).removeprefix(BOLD)
        cell = re.sub(r"^(?:\\textbf)?\{(?!\[\})(.*)\}$", r"\1", cell)
        found.append(re.sub(r"^\\shortstack\{(.*)\}$", r"\1", cell).replace(r"\\", " "))
    return found


BOLD = r"\bfseries "


def _from_terminal(text: str, expected: list[list[str]]) -> list[list[str]]:
    """Cells by position: lines carry exactly the expected cells, in order, with nothing but blanks between."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("──")) + 1
    pattern = [r"\s+".join(re.escape(cell) for cell in cells) for cells in expected[1:]]
    return [
        cells if re.fullmatch(p, line.strip()) else ["mismatch", line]
        for cells, p, line in zip(expected[1:], pattern, lines[start:], strict=False)
    ]


def test_every_rendering_shows_the_same_cells(board: Leaderboard) -> None:
    shown = columns(board.blocks[0])
    titles = [column.title for column in shown]
    cells = [list(row) for row in zip(*(column.cells for column in shown), strict=True)]
    assert _from_markdown(render(board, "md", columns=["all"])) == [titles, *cells]
    assert _from_latex(render(board, "tex", columns=["all"])) == [
        [escape(cell) for cell in line] for line in [titles, *cells]
    ]
    assert _from_terminal(render(board, "rich", width=250), [titles, *cells]) == cells


def test_what_people_read_is_what_programs_read(board: Leaderboard) -> None:
    from_json = json.loads(render(board, "json"))["blocks"][0]["rows"]
    from_csv = list(csv.DictReader(io.StringIO(render(board, "csv"))))
    frame = board.to_frame()
    assert [r["strategy"] for r in from_csv] == [r["strategy"] for r in from_json] == list(frame.strategy)
    for i, row in enumerate(from_json):
        for key in COLUMNS:
            number = row[key]
            assert from_csv[i][key] == ("" if number is None else str(number)), key
            assert (frame[key][i] == number) or (number is None and math.isnan(frame[key][i])), key
    shown = {column.title: column.cells for column in columns(board.blocks[0])}
    for i, row in enumerate(from_json[:-1]):
        std = "" if row["test_error_std"] is None else f" ± {100 * row['test_error_std']:.2f}"
        assert shown["test error ↓ (%)"][i] == f"{100 * row['test_error_mean']:.2f}{std}"
        assert shown["failed"][i] == f"{row['failed']}/{row['total']}"
        assert shown["search MACs"][i] == count(row["cost_macs"])
        assert shown["search device"][i] == seconds(row["cost_device_s"])
        assert shown["peak memory"][i] == memory(row["cost_peak_memory_bytes"])


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_terminal_never_cuts_a_number_nor_exceeds_its_width(board: Leaderboard, width: int) -> None:
    text = render(board, "rich", width=width)
    assert max(map(len, text.splitlines())) <= width
    table = text[: text.index("mean ±")]
    assert "…" not in table
    for cell in columns(board.blocks[0])[3].cells:
        assert cell in table


def test_markup_in_labels_and_messages_is_shown_as_it_is(board: Leaderboard) -> None:
    assert "boom [red]" in render(board, "rich")


def test_no_spread_is_shown_for_a_single_run(board: Leaderboard) -> None:
    cells = {c.title: dict(zip((r.strategy for r in board.blocks[0].rows), c.cells, strict=True)) for c in columns(board.blocks[0])}  # fmt: skip  # noqa: E501
    assert cells["test error ↓ (%)"]["one | run"] == "24.00"
    assert cells["test error ↓ (%)"]["broken"] == "failed"


def test_values_that_are_no_shares_are_not_shown_as_percentages() -> None:
    runs = [a_run("random", seed, test_error=57.25 + seed, value=0.5) for seed in range(2)]
    shown = {column.title: column.cells for column in columns(build(a_study(), runs).blocks[0])}
    assert shown["test error ↓"][0] == "57.75 ± 0.71"
    assert shown["validation"][0] == "0.5 ± 0"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (count(0), "0"), (count(100.0), "100"), (count(20.5), "20.50"), (count(9999.0), "9999"),
        (count(12_345), "12.3k"), (count(999_499), "999k"), (count(999_600), "1.00M"), (count(1.5e13), "15.0T"),
        (count(math.nan), "–"), (seconds(0.0042), "4.20 ms"), (seconds(0), "0 ms"), (seconds(59.94), "59.9 s"),
        (seconds(99.96), "1.67 min"), (seconds(3 * 3600), "3.00 h"), (seconds(10 * 86_400), "10.0 d"),
        (memory(5e8), "500 MB"), (memory(2.5e9), "2.50 GB"), (budget('{"macs": 2e12}'), "macs ≤ 2T"),
        (budget('{"samples": 1234567, "evaluations": 1500.0}'), "samples ≤ 1.234567M, evaluations ≤ 1,500"),
        (budget("as reported"), "as reported"),
    ],
)  # fmt: skip
def test_units_are_human(shown: str, expected: str) -> None:
    assert shown == expected


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputError, match="unknown format `html`"):
        render(build(a_study(), []), "html")


def test_every_format_renders_a_study_read_from_a_store(tmp_path: Path) -> None:
    with open_store(tmp_path / "results.db", write=True) as store:
        store.add_study(a_study())
        for run in the_runs():
            store.add_run(run)
    with open_store(tmp_path / "results.db") as store:
        board = leaderboard(store, "first", sort="-test_error")
    assert board.sorted_by == "-test_error_mean"
    assert all("日本語" in render(board, format) or format == "tex" for format in FORMATS)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX here")
def test_latex_compiles(board: Leaderboard, tmp_path: Path) -> None:
    every = "".join(chr(c) for c in [*range(32, 127), *range(0xA0, 0x180), *range(0x391, 0x3CA), 0x2212, 0x1F600])
    contest = build(*a_contest(12, {"baseline": "poor"})).with_published("CIFAR-10")
    body = "\n\n".join([render(board, "tex"), render(contest, "tex"), escape(every)])
    (tmp_path / "table.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs, threeparttable, siunitx, textcomp, etoolbox}"
        "\\usepackage[T1]{fontenc}\\robustify\\bfseries\n"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    said = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout[-2000:]


SPREAD = {"good": 0.05, "fine": 0.0502, "poor": 0.20}
"""Mean test errors of three strategies, two of which are alike."""


def a_contest(
    seeds: int, comparison: dict[str, object] | None, *, first: int = 0
) -> tuple[StudyRecord, list[RunRecord]]:
    """Three strategies whose seeds share a part of their error, as common random numbers make them."""
    planned = [
        {"run_id": f"{label}/{seed}", "strategy": label, "problem": "digits", "replicate": seed}
        for seed in range(seeds)
        for label in SPREAD
    ]
    spec = {"seeds": list(range(seeds)), "budget": BUDGET, "problems": [{"label": "digits", "fingerprint": "f"}]}
    study = StudyRecord("first", json.dumps(spec | {"planned": planned, "comparison": comparison}), "t")
    runs = [
        a_run("random", seed).changed(strategy=label, run_id=f"{label}/{seed}",
              test_error=mean + 0.004 * math.sin(5 * seed) + 0.002 * math.sin(7 * seed + i))
        for seed in range(seeds)
        for i, (label, mean) in enumerate(SPREAD.items())
    ]  # fmt: skip
    return study, runs


def rows_of(board: Leaderboard) -> dict[str, Row]:
    return {row.strategy: row for row in board.blocks[0].rows}


def test_ranks_are_intervals_and_the_tied_top_group_is_bold() -> None:
    board = build(*a_contest(12, {"baseline": "poor"})).sorted("test_error")
    rows = rows_of(board)
    assert {name: row.standing.ranks for name, row in rows.items()} == {"good": (1, 2), "fine": (1, 2), "poor": (3, 3)}
    assert [name for name, row in rows.items() if row.standing.top] == ["good", "fine"]
    text = render(board, "md")
    assert len(re.findall(r"\*\*\d", text)) == 2
    assert text.count("• 1–2") == 2
    assert len(re.findall(r"\\bfseries \S+ & \\bfseries \d", render(board, "tex"))) == 2  # mean and spread


def test_each_strategy_is_tested_against_the_declared_baseline_with_holm() -> None:
    rows = rows_of(build(*a_contest(12, {"baseline": "poor"})))
    good = rows["good"].values()
    assert good["verdict"] == "better"
    assert good["difference"] == pytest.approx(-0.15, abs=0.002)
    assert good["difference_low"] < good["difference"] < good["difference_high"] < 0
    assert good["p_adjusted"] == pytest.approx(2 * 2 / 2**12)  # the smallest sign-flip p of 12 pairs, twice by Holm
    assert (good["effect_name"], good["effect"] < 0) == ("dz", True)
    assert rows["poor"].standing.verdict == "baseline"
    assert math.isnan(rows["poor"].values()["p"])


def test_differences_within_the_declared_rope_are_not_better() -> None:
    wide = rows_of(build(*a_contest(12, {"baseline": "poor", "rope": 0.3})))
    assert wide["good"].standing.verdict == "no evidence"
    assert not wide["good"].standing.top


def test_a_rope_beyond_everything_observed_is_questioned() -> None:
    assert "is it in the unit of" in render(build(*a_contest(12, {"baseline": "poor", "rope": 0.3})), "md")
    assert "is it in the unit of" not in render(build(*a_contest(12, {"baseline": "poor", "rope": 0.01})), "md")


def test_four_seeds_get_a_refusal_in_place_of_a_star() -> None:
    board = build(*a_contest(4, {"baseline": "poor"})).sorted("test_error")
    good = rows_of(board)["good"]
    assert good.standing.verdict == "refused"
    assert "4 paired seeds cannot" in good.values()["refusal"]
    assert good.standing.ranks == (1, 3)
    assert not good.standing.top
    text = render(board, "md")
    assert "refused" in text
    assert "more per arm are needed" in text
    assert "**" not in text


def test_nothing_declared_is_said_and_tested_against_nothing() -> None:
    board = build(*a_contest(12, None))
    assert rows_of(board)["good"].standing.versus is None
    assert "nothing was declared in \\[comparison\\] before the first run" in render(board, "md")


def test_seeds_added_without_declared_looks_make_it_exploratory() -> None:
    def grown(*seeds: int, looks: int) -> Leaderboard:
        declared = [a_contest(n, {"baseline": "poor", "looks": looks})[0] for n in seeds]
        studies = [
            replace(one, revision=i + 1, created=f"2025-01-01T0{2 * i}:00:00+00:00") for i, one in enumerate(declared)
        ]
        before = [0, *seeds]
        ends = {
            f"good/{seed}": f"2025-01-01T0{2 * i + 1}:00:00+00:00"
            for i, n in enumerate(seeds)
            for seed in range(before[i], n)
        }
        return build(History.of(studies, ends).whole, a_contest(12, None)[1])

    assert grown(4, 12, looks=2).blocks[0].verdicts.declared.level == 0.025
    assert "look 2 of 2 declared" in render(grown(4, 12, looks=2), "md")
    assert not grown(4, 12, looks=2).blocks[0].verdicts.declared.exploratory
    assert grown(4, 8, 12, looks=2).blocks[0].verdicts.declared.exploratory


def test_tests_of_an_unfinished_study_use_the_seeds_all_have_finished() -> None:
    study, runs = a_contest(12, {"baseline": "poor"})
    board = build(study, [run for run in runs if run.run_id not in ("good/11", "poor/3")])
    assert len(board.blocks[0].verdicts.arms[0].seeds) == 10
    assert "ranks and tests use the 10 of 12 seeds" in render(board, "rich")


def test_a_withheld_ranking_shows_the_numbers_and_ranks_nothing() -> None:
    board = build(*a_contest(12, {"baseline": "poor"})).without_ranking("checklist C04 fails")
    assert [row.n for row in board.blocks[0].rows] == [12, 12, 12]
    assert all(row.standing.ranks is None and not row.standing.top for row in board.blocks[0].rows)
    text = render(board.sorted("test_error"), "md")
    assert "no ranking: checklist C04 fails" in text
    assert "**" not in text


def test_a_strategy_that_mostly_fails_is_not_in_the_top_group() -> None:
    study, runs = a_contest(12, {"baseline": "poor", "rope": 0.001})
    gone = [run.changed(status="failed", test_status=None, test_error=math.nan) for run in runs if "good" in run.run_id]
    rows = rows_of(build(study, [*(run for run in runs if "good" not in run.run_id), *gone]))
    assert rows["good"].standing.ranks is None
    assert not rows["good"].standing.top
    assert rows["good"].standing.verdict == "failing"
    assert rows["fine"].standing.ranks == (1, 1)
    assert rows["fine"].standing.top


def test_a_few_failures_count_as_worst_rank_and_stay_ranked() -> None:
    study, runs = a_contest(12, {"baseline": "poor"})
    runs = [r.changed(status="failed", test_status=None) if r.run_id == "good/0" else r for r in runs]
    good = rows_of(build(study, runs))["good"]
    assert (good.n, good.failed) == (11, 1)
    assert good.standing.versus is not None
    assert "failures ranked worst" in good.standing.versus.method
    assert good.standing.ranks is not None


def test_who_lost_in_the_declared_family_is_not_called_top() -> None:
    # p = .021 twice: significant by Holm over three (the declared family), not over six (all pairs)
    gaps = [1, 2, 3, -4, 5, -6, 7, 8, 9, 10, 11, 12]
    errors = {
        "baseline": [0.2] * 12,
        "good": [0.2 - 1e-4 * gap for gap in gaps],
        "fine": [0.2 - 1e-4 * gap for gap in (*gaps[6:], *gaps[:6])],
        "awful": [0.5 + 1e-3 * gap for gap in range(12)],
    }
    planned = [
        {"run_id": f"{label}/{seed}", "strategy": label, "problem": "digits", "replicate": seed}
        for label in errors
        for seed in range(12)
    ]
    spec = {"seeds": list(range(12)), "budget": BUDGET, "problems": [{"label": "digits", "fingerprint": "f"}]}
    study = StudyRecord("first", json.dumps(spec | {"planned": planned, "comparison": {"baseline": "baseline"}}), "t")
    runs = [
        a_run("random", seed).changed(strategy=label, run_id=f"{label}/{seed}", test_error=own[seed])
        for label, own in errors.items()
        for seed in range(12)
    ]
    rows = rows_of(build(study, runs))
    assert rows["good"].standing.verdict == "better"
    assert rows["baseline"].standing.ranks == (3, 3)  # ranks follow from the declared family alone
    assert {name for name, row in rows.items() if row.standing.top} == {"good", "fine"}


def test_published_rows_stand_beside_and_are_never_ranked() -> None:
    board = build(*a_contest(12, {"baseline": "poor"})).with_published("CIFAR-10")
    for format in ("rich", "md", "tex"):
        text = render(board, format)
        assert "DARTS-PRIME" in text
        assert "never ranked" in text
    assert "2.62 ± 0.07 (n=4)" in render(board, "rich")
    lines = list(csv.DictReader(io.StringIO(render(board, "csv"))))
    reported = [line for line in lines if line["source"] == "reported"]
    assert len(reported) == len(board.reported) == len(json.loads(render(board, "json"))["reported"])
    assert all(line["ranked"] == "False" and line["rank_low"] == "" for line in reported)
    with pytest.raises(InputError, match="no published row for task `CIFAR-11`"):
        board.with_published("CIFAR-11")


def test_a_short_leaderboard_imports_neither_scipys_tests_nor_pandas(tmp_path: Path) -> None:
    with open_store(tmp_path / "s.db", write=True) as store:
        store.add_study(a_study(12))
        for seed in range(12):
            for label in LABELS[:3]:
                store.add_run(a_run(label, seed))
    code = (
        "import sys; from searchbench.reports.dossier import read; from searchbench.reports.render import render; "
        "from searchbench.results.store import open_store; board = read(open_store(sys.argv[1])).board; "
        "render(board, 'md'); print(sorted({'scipy.stats', 'scipy.optimize', 'pandas', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s.db")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
