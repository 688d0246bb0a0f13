"""Protocol tags, blocks, reported rows, and the published tables."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from searchbench import statistics as st
from searchbench.errors import StatisticsError
from searchbench.statistics import published

EXAMPLE = Path(__file__).parents[2] / "examples" / "published_darts_prime.py"
KEY = st.Key("digits", "error", "nasbench201", "p1", "s1", st.Protocol.MULTI_SEARCH_ONE_EVAL, "100 evaluations")


def row(name: str, mean: float, key: st.Key = KEY, **more: object) -> st.Row:
    return st.Row(name, key, mean, 0.1, 4, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("protocol", st.Protocol.BEST_ARCH_REEVALUATED),
        ("budget", "200 evaluations"),
        ("space", "darts"),
        ("pipeline", "p2"),
        ("split", "s2"),
        ("task", "cifar10"),
    ],
)
def test_rows_that_differ_stand_in_a_separate_unranked_block(field: str, value: str) -> None:
    other = row("c", 0.5, replace(KEY, **{field: value}))
    first, second = st.blocks([row("b", 2.0), other, row("a", 1.0)])
    assert (first.ranked, [r.name for r in first.rows]) == (True, ["a", "b"])
    assert (second.ranked, [r.name for r in second.rows]) == (False, ["c"])
    assert f"another {field}" in second.why
    answer = st.comparable([row("a", 1.0), other])
    assert answer.status == "refused"
    assert field in answer.refusal_reason


def test_reported_rows_never_rank_even_with_the_same_key() -> None:
    table = st.blocks([row("a", 1.0), row("paper", 0.1, source="reported")])
    assert [(b.ranked, b.rows[0].name) for b in table] == [(True, "a"), (False, "paper")]
    assert table[1].why == "reported, not measured here"
    assert st.comparable([row("a", 1.0), row("paper", 0.1, source="reported")]).code == "reported_rows"


def test_only_reported_rows_leave_nothing_ranked() -> None:
    assert not any(b.ranked for b in st.blocks(published.rows("PTB")))


def test_rows_of_one_key_are_comparable() -> None:
    assert st.comparable([row("a", 1.0), row("b", 2.0)]).status == "ok"


def test_mixing_protocols_is_named_as_such() -> None:
    best = replace(KEY, protocol=st.Protocol.BEST_ARCH_REEVALUATED)
    assert st.comparable([row("a", 1.0), row("b", 2.0, best)]).code == "protocol_mixed"


def test_a_single_run_is_never_shown_with_plus_minus() -> None:
    assert row("a", 1.0).shown == "1 ± 0.1 (n=4)"
    assert st.Row("a", KEY, 1.0, 0.0, 1).shown == "1 (n=1)"


def test_published_rows_carry_their_marks_and_are_all_reported() -> None:
    rows = published.rows()
    assert len(rows) == 40
    assert {r.source for r in rows} == {"reported"}
    shown = {(r.key.task, r.name): r.shown for r in rows}
    assert shown["CIFAR-10", "AmoebaNet-A"] == "2.55 ± 0.05*†"
    assert shown["CIFAR-10", "DARTS-PRIME"] == "2.62 ± 0.07 (n=4)"
    assert shown["PTB", "ENAS"] == "58.6†‡"
    starred = [r for r in rows if "*" in r.marks]
    assert {r.key.protocol for r in starred} == {st.Protocol.BEST_ARCH_REEVALUATED}


def test_a_published_row_without_a_spread_has_no_summary() -> None:
    with pytest.raises(StatisticsError, match="P-DARTS"):
        published.summary("CIFAR-10", "P-DARTS")
    with pytest.raises(StatisticsError, match="CIFAR-100, PTB"):
        published.rows("ImageNet")


def test_example_recomputes_what_the_printed_numbers_support(capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(EXAMPLE))
    p = {where: round(a.p, 4) for where, a in example["welch_tests"]().items()}
    assert p == {
        ("CIFAR-10", "test"): 0.1231,
        ("CIFAR-100", "test"): 0.0026,
        ("PTB", "valid"): 0.1805,
        ("PTB", "test"): 0.1952,
    }
    assert example["best_of_four"]().estimate == pytest.approx(2.62, abs=0.005)
    assert example["power"]().wording == "power 0.38 at n=4 per arm; 80 % needs 10 per arm (+6)"
    effects = example["ablation"]("CIFAR-100")
    assert effects["PR"].p == pytest.approx(0.022, abs=5e-4)
    assert effects["PR"].p_adj == pytest.approx(0.065, abs=5e-4)
    assert "not established" in effects["FIMT × PR"].wording
    example["main"]()
    out = capsys.readouterr().out
    assert "DARTS-PRIME is better than DARTS (our trials)" in out
    assert out.count("no evidence of difference") == 3
