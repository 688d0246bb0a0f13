"""The checklist: what passes, what warns, what fails, and what removes the ranking."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from searchbench.reports.checklist import Checklist, Verdict, checklist
from searchbench.reports.evidence import ArmEvidence, Evidence, StatisticsEvidence, TableEvidence

SEEDS = tuple(range(101, 111))


def arm(name: str, shift: float = 0.0, **more: Any) -> ArmEvidence:
    known: dict[str, Any] = {
        "name": name,
        "space": "sp", "split": "d1", "pipeline": "p1", "protocol": "multi_search_one_eval",
        "seeds": SEEDS, "evaluation_seeds": SEEDS, "statuses": ("ok",) * 10,
        "scores": tuple(shift + 0.01 * s for s in SEEDS),
        "test_reads": (1,) * 10, "test_reads_in_search": 0, "selected_on": "validation", "selector": "best validated",
        "budget_unit": "evaluations", "spent": (100.0,) * 10, "cost_search": 1.0, "cost_validate": 0.5,
        "tuning": "untuned defaults", "configurations": 1, "incumbents": ((3.0, 2.0, 2.0),) * 10,
        "reached": (1.0,) * 10,
        "hardware": "cpu", "versions": "v", "clean_commit": True, "lock": "l", "config_stored": True,
        "relative_improvement": True,
    }  # fmt: skip
    return ArmEvidence(**(known | more))


def sound(**more: Any) -> Evidence:
    arms = (
        arm("RE"), arm("random", 1.0, kind="random_search"), arm("sampling", 2.0, kind="random_sampling", seeds=()),
    )  # fmt: skip
    known: dict[str, Any] = {
        "arms": (arms[0], arms[1], replace(arms[2], seeds=SEEDS)),
        "manifest_runs": 30, "stored_runs": 30, "failures_printed": True,
        "declared": frozenset({"primary metric", "baseline", "family", "delta", "looks"}),
        "declared_at": 1.0, "first_run_at": 2.0, "probe": "identical", "tasks": ("a", "b"), "tuned_on": (),
        "claims_limited": True,
        "statistics": StatisticsEvidence(
            correction="Holm", family_size=2, p_values=2, with_effect=2, with_interval=2, with_n=2, curve="Def. 7",
            expected_best=True,
        ),
        "table": TableEvidence(name="nasbench201-digits", version="1", sampling="one draw"),
        "reported_rows": 3, "rebuilt": True,
    }  # fmt: skip
    return Evidence(**(known | more))


def with_arm(**change: Any) -> Evidence:
    e = sound()
    return replace(e, arms=(replace(e.arms[0], **change), *e.arms[1:]))


def verdict(e: Evidence, id: str) -> Verdict:
    return checklist(e)[id].verdict


def test_a_sound_study_passes_everything_that_applies() -> None:
    found = checklist(sound())
    assert [i.id for i in found.items] == [f"C{n:02d}" for n in range(1, 31)]
    assert {i.id for i in found.of(Verdict.NA)} == {"C22", "C28"}
    assert found.of(Verdict.WARN) == found.of(Verdict.FAIL) == ()
    assert found.summary == "Checklist 28/28, 0 warn, 0 fail"
    assert found.ranking_allowed
    assert all(i.evidence for i in found.items)


UNCORRECTED = StatisticsEvidence(
    p_values=1, with_effect=1, with_interval=1, with_n=1, curve="Def. 7", expected_best=True
)
CORRECTED = sound().statistics
BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("C01", {"space": "other"}),
    ("C02", {"split": "d2"}),
    ("C03", {"pipeline": "p2"}),
    ("C04", {"protocol": "best_arch_reevaluated"}),
    ("C05", {"seeds": SEEDS[:5]}),
    ("C09", {"test_reads": (1,) * 9 + (2,)}),
    ("C09", {"test_reads": (1,) * 9 + (0,)}),
    ("C09", {"test_reads_in_search": 1}),
    ("C10", {"selected_on": "test"}),
    ("C11", {"spent": (100.0,) * 9 + (102.0,)}),
    ("C11", {"spent": (100.0,) * 9 + (90.0,)}),
    ("C11", {"budget_unit": "seconds"}),
    ("C16", {"incumbents": ((3.0, 2.0, 2.5),)}),
    ("C16", {"incumbents": ((3.0, float("nan")),)}),
    ("C16", {"reached": (0.5,)}),
    ("C16", {"reached": (0.985,)}),
    ("C18", {"scores": tuple(1.0 + 0.01 * s for s in SEEDS)}),
    ("C20", {"clean_commit": False}),
    ("C22", {"components": 2}),
]


@pytest.mark.parametrize(("id", "change"), BROKEN, ids=[f"{i}-{next(iter(c))}" for i, c in BROKEN])
def test_a_broken_arm_fails_its_item_and_names_the_evidence(id: str, change: dict[str, Any]) -> None:
    found = checklist(with_arm(**change))
    assert [i.id for i in found.of(Verdict.FAIL)] == [id]
    counted = 29 if id == "C22" else 28
    assert found.summary.startswith(f"Checklist {counted - 1}/{counted}, 0 warn, 1 fail: {id}")
    assert found.ranking_allowed == (id not in {"C01", "C02", "C03", "C04", "C09", "C17"})


@pytest.mark.parametrize(
    ("id", "change"),
    [
        ("C17", {"stored_runs": 29}),
        ("C21", {"probe": "differs"}),
        ("C21", {"by_arrival": True}),
        ("C23", {"declared": frozenset({"baseline"})}),
        ("C23", {"declared_at": 3.0}),
        ("C24", {"statistics": UNCORRECTED}),
        ("C25", {"statistics": replace(CORRECTED, with_effect=1)}),
        ("C25", {"statistics": replace(CORRECTED, with_interval=1)}),
        ("C25", {"statistics": replace(CORRECTED, with_n=1)}),
        ("C26", {"tuned_on": ("a",)}),
        ("C27", {"table": TableEvidence(name="t", version="1")}),
        ("C28", {"proxy_ceiling": True, "proxy_floor": False}),
        ("C29", {"reported_ranked": 1}),
        ("C30", {"rebuilt": False}),
    ],
)  # fmt: skip
def test_a_broken_study_fails_its_item(id: str, change: dict[str, Any]) -> None:
    assert [i.id for i in checklist(sound(**change)).of(Verdict.FAIL)] == [id]


@pytest.mark.parametrize(
    ("id", "field"),
    [("C01", "space"), ("C02", "split"), ("C03", "pipeline"), ("C04", "protocol"), ("C09", "test_reads")],
)
def test_missing_evidence_of_a_blocking_item_removes_the_ranking(id: str, field: str) -> None:
    found = checklist(with_arm(**{field: None}))
    assert [i.id for i in found.blockers] == [id]
    assert "not recorded for RE" in found[id].evidence
    assert found.summary.endswith(f"ranking removed by {id}")


@pytest.mark.parametrize(
    ("id", "field"),
    [
        ("C06", "evaluation_seeds"), ("C10", "selector"), ("C12", "cost_search"), ("C13", "tuning"),
        ("C14", "configurations"), ("C16", "incumbents"), ("C20", "lock"),
    ],
)  # fmt: skip
def test_missing_evidence_warns_and_never_passes(id: str, field: str) -> None:
    assert verdict(with_arm(**{field: None}), id) is Verdict.WARN


@pytest.mark.parametrize(
    ("id", "evidence"),
    [
        ("C08", sound(arms=(*sound().arms[:2], replace(sound().arms[2], scores=sound().arms[2].scores[:8])))),
        ("C11", with_arm(spent=(100.0,) * 9 + (101.0,))),
        ("C16", with_arm(reached=(0.99,))),
        ("C23", sound(declared_at=2.0)),
    ],
)
def test_what_is_just_enough_passes(id: str, evidence: Evidence) -> None:
    assert verdict(evidence, id) is Verdict.PASS


def test_failed_runs_must_be_printed() -> None:
    lost = with_arm(statuses=("ok",) * 8 + ("failed", "timeout"))
    assert verdict(lost, "C17") is Verdict.PASS
    assert "1 failed, 1 timeout" in checklist(lost)["C17"].evidence
    assert verdict(replace(lost, failures_printed=False), "C17") is Verdict.FAIL


def test_random_arms_are_asked_for_by_kind() -> None:
    e = sound()
    assert verdict(replace(e, arms=(e.arms[0], e.arms[2])), "C07") is Verdict.FAIL
    assert verdict(replace(e, arms=e.arms[:2]), "C08") is Verdict.FAIL
    few = replace(e.arms[2], scores=e.arms[2].scores[:7])
    assert "7 random architectures; 8 are needed" in checklist(replace(e, arms=(*e.arms[:2], few)))["C08"].evidence
    assert verdict(with_arm(relative_improvement=False), "C08") is Verdict.WARN


def test_wall_clock_needs_one_hardware_class_only_when_it_is_compared() -> None:
    mixed = with_arm(hardware="gpu")
    assert verdict(mixed, "C19") is Verdict.PASS
    timed = replace(mixed, statistics=replace(mixed.statistics, wall_clock_compared=True))
    assert verdict(timed, "C19") is Verdict.FAIL


def test_a_partial_ablation_warns_and_a_factorial_one_passes() -> None:
    assert verdict(with_arm(components=2, ablation="partial"), "C22") is Verdict.WARN
    assert verdict(with_arm(components=2, ablation="factorial"), "C22") is Verdict.PASS


def test_the_same_score_at_every_seed_warns() -> None:
    assert verdict(with_arm(scores=(1.0,) * 10), "C18") is Verdict.WARN


def test_without_p_values_their_items_do_not_apply() -> None:
    found = checklist(sound(statistics=StatisticsEvidence(curve="Def. 7", expected_best=True)))
    assert found["C24"].verdict is found["C25"].verdict is Verdict.NA


def test_a_study_that_recorded_nothing_is_not_ranked() -> None:
    found: Checklist = checklist(Evidence(arms=()))
    assert not found.ranking_allowed
    assert {i.id for i in found.blockers} == {"C01", "C02", "C03", "C04", "C09", "C17"}
    assert {i.id for i in found.of(Verdict.PASS)} == {"C19"}


def test_enough_seeds_depends_on_how_many_arms_are_compared() -> None:
    def seeds(arms: int, each: int) -> Any:
        few = SEEDS[:each]
        found = [arm(f"a{k}", float(k), seeds=few, evaluation_seeds=few) for k in range(arms)]
        sampling = arm("sampling", 9.0, kind="random_sampling", seeds=few)
        return checklist(sound(arms=(*found, sampling)))["C05"]

    fewest = {2: 6, 3: 7, 4: 7, 5: 8, 9: 9}  # 2 x 0.5^n x comparisons <= 0.05
    for arms, need in fewest.items():
        assert seeds(arms, need).verdict == Verdict.PASS
        short = seeds(arms, need - 1)
        assert short.verdict == Verdict.FAIL
        assert f"{need} are needed for {arms} arms" in str(short.evidence)
