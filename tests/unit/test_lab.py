"""The metered lab: nothing is free, nothing overspends, failures are values."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchbench import Budget, Cost, Fidelity, Measurement, Problem, Proposal, Scenario, Seeds
from searchbench.errors import BudgetExhausted, EvaluationFailed, SpaceError
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.repeats import STALLED_AFTER, Stalled
from searchbench.results.columns import read_trials
from searchbench.spaces import SPACES
from searchbench.trial import FULL

SPACE = SPACES.factory("nasbench201")()


@dataclass
class Scripted:
    """An estimator that charges a fixed price and answers from a script: numbers, or exceptions to raise."""

    answers: list[Any] = field(default_factory=list)
    cost: Cost = field(default_factory=lambda: Cost(evaluations=1, train_samples=10, macs=100))
    seeds: list[int] = field(default_factory=list)

    def complete(self, fidelity: Fidelity) -> Fidelity:
        return Fidelity(epochs=fidelity.epochs or 4.0)

    def price(self, architecture: Any, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        return self.cost

    def evaluate(
        self, architecture: Any, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        self.seeds.append(seed)
        answer = self.answers.pop(0) if self.answers else 0.5
        if isinstance(answer, Exception):
            raise answer
        return Measurement(answer), self.cost


def make_lab(budget: Budget, estimator: Scripted, duplicates: str = "charge") -> MeteredLab:
    return MeteredLab(Scenario(SPACE, Seeds("s", 0), budget), estimator, duplicates)  # type: ignore[arg-type]


def proposals(n: int) -> list[Proposal]:
    rng = np.random.default_rng(1)
    return [Proposal(SPACE.sample(rng)) for _ in range(n)]


@pytest.mark.parametrize(
    ("budget", "allowed"),
    [(Budget(evaluations=3), 3), (Budget(samples=45), 4), (Budget(macs=250), 2), (Budget(evaluations=9, macs=100), 1)],
)
def test_budget_is_refused_before_the_charge_that_would_exceed_it(budget: Budget, allowed: int) -> None:
    estimator = Scripted()
    lab = make_lab(budget, estimator)
    for proposal in proposals(allowed):
        lab.evaluate(proposal)
    before = lab.spent
    with pytest.raises(BudgetExhausted, match="over the budget"):
        lab.evaluate(proposals(1)[0])
    assert lab.spent == before
    assert len(estimator.seeds) == allowed  # the estimator was not even asked


def test_an_evaluation_that_ends_after_the_seconds_have_run_out_does_not_count() -> None:
    lab = make_lab(Budget(seconds=25), Scripted(cost=Cost(evaluations=1, device_s=10)))
    lab.evaluation.estimator.price = lambda *_: Cost(evaluations=1)  # type: ignore[method-assign]  # seconds are not foreseen
    statuses = [lab.evaluate(p).status for p in proposals(3)]
    assert statuses == ["ok", "ok", "timeout"]
    with pytest.raises(BudgetExhausted):
        lab.evaluate(proposals(4)[3])


def test_the_ledger_is_the_sum_of_the_trials() -> None:
    lab = make_lab(Budget(evaluations=10), Scripted())
    total = sum((lab.evaluate(p).cost for p in proposals(5)), Cost())
    assert lab.spent == total
    assert lab.left() == {"evaluations": 5}
    assert lab.affordable(Cost(evaluations=2)) == 2


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (EvaluationFailed("timeout", "too slow"), "timeout"),
        (EvaluationFailed("nan", "diverged"), "nan"),
        (float("nan"), "nan"),
        (float("inf"), "nan"),
        (MemoryError(), "memory"),
        (ZeroDivisionError("oops"), "error"),
    ],
)
def test_a_failed_evaluation_is_a_charged_trial_and_the_run_goes_on(failure: Any, status: str) -> None:
    lab = make_lab(Budget(evaluations=2), Scripted(answers=[failure, 0.25]))
    first, second = proposals(2)
    failed = lab.evaluate(first)
    assert (failed.status, failed.failed, failed.cost.evaluations) == (status, True, 1)
    assert np.isnan(failed.value)
    assert failed.error
    good = lab.evaluate(second)
    assert lab.incumbent.architecture == good.architecture
    table = read_trials(lab.columns.to_bytes()).to_pandas()
    assert list(table["status"]) == [status, "ok"]


def test_asking_again_is_charged_with_fresh_noise_under_charge() -> None:
    estimator = Scripted(answers=[0.5, 0.4])
    lab = make_lab(Budget(evaluations=5), estimator)
    same = proposals(1)[0]
    assert [lab.evaluate(same).value for _ in range(2)] == [0.5, 0.4]
    assert lab.spent.evaluations == 2
    assert len(set(estimator.seeds)) == 2


def test_asking_again_is_free_and_the_same_under_cache() -> None:
    lab = make_lab(Budget(evaluations=1), Scripted(answers=[0.5, 0.4]), "cache")
    same = proposals(1)[0]
    first, second = lab.evaluate(same), lab.evaluate(same)
    assert (first.value, first.cached, second.value, second.cached) == (0.5, False, 0.5, True)
    assert second.cost == Cost()
    assert lab.spent.evaluations == 1


def test_a_search_that_asks_nothing_new_for_ever_is_ended() -> None:
    lab = make_lab(Budget(evaluations=5), Scripted(), "cache")
    same = proposals(1)[0]
    for _ in range(STALLED_AFTER + 1):
        lab.evaluate(same)
    with pytest.raises(Stalled):
        lab.evaluate(same)


def test_isomorphic_architectures_are_the_same_evaluation() -> None:
    lab = make_lab(Budget(evaluations=5), Scripted(), "cache")
    c = SPACE.parse("|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|")
    d = SPACE.parse("|skip_connect~0|+|skip_connect~0|none~1|+|none~0|nor_conv_3x3~1|none~2|")
    assert c.key == d.key
    lab.evaluate(Proposal(c))
    assert lab.evaluate(Proposal(d)).cached


def test_what_is_no_proposal_of_the_space_is_refused() -> None:
    lab = make_lab(Budget(evaluations=5), Scripted())
    with pytest.raises(SpaceError, match="must return a Proposal"):
        lab.evaluate(SPACE.sample(np.random.default_rng(0)))  # type: ignore[arg-type]


def test_resume_continues_with_the_noise_of_the_trial_it_continues() -> None:
    estimator = Scripted()
    lab = make_lab(Budget(evaluations=5), estimator)
    architecture = proposals(1)[0].architecture
    first = lab.evaluate(Proposal(architecture, Fidelity(epochs=1)))
    lab.evaluate(Proposal(architecture, Fidelity(epochs=4), resume=first.number))
    assert estimator.seeds[0] == estimator.seeds[1]
    with pytest.raises(SpaceError, match="earlier trial of the same architecture"):
        lab.evaluate(Proposal(proposals(3)[2].architecture, FULL, resume=first.number))


def test_the_incumbent_prefers_fidelity_then_value_then_age() -> None:
    lab = make_lab(Budget(evaluations=9), Scripted(answers=[0.1, 0.6, 0.5, 0.5, 0.2]))
    low, high = Fidelity(epochs=1), Fidelity(epochs=4)
    fidelities = [low, high, high, high, low]
    asked = [Proposal(p.architecture, f) for p, f in zip(proposals(5), fidelities, strict=True)]
    trials = [lab.evaluate(proposal) for proposal in asked]
    assert lab.incumbent.number == trials[2].number


def test_nothing_the_lab_holds_reaches_test_data(problem: Problem) -> None:
    resolved = problem.resolve()
    seeds = Seeds("s", 0)
    estimator = resolved.estimator.open(resolved.space, resolved.task, seeds)
    lab = MeteredLab(Scenario(resolved.space, seeds, Budget(evaluations=3)), estimator, "charge")
    lab.evaluate(proposals(1)[0])
    assert not [what for what in reachable(lab) if names_test_data(what)]


def test_a_training_lab_holds_no_test_image(training_problem: Problem) -> None:
    resolved = training_problem.resolve()
    seeds = Seeds("s", 0)
    estimator = resolved.estimator.open(resolved.space, resolved.task, seeds)
    scenario = Scenario(resolved.space, seeds, Budget(evaluations=3), trains=True)
    lab = MeteredLab(scenario, estimator, "charge", estimator.bench())  # type: ignore[attr-defined]
    found = reachable(lab)
    assert not [what for what in found if names_test_data(what)]
    test = resolved.task.judge_data(seeds).test.inputs
    tests = {image.tobytes() for image in test}
    held = [a for a in found if isinstance(a, np.ndarray) and a.ndim == 4]
    assert held  # the scan does see the training images
    assert not [a for a in held for image in a if np.ascontiguousarray(image).tobytes() in tests]


OPAQUE = ("module", "function", "builtin_function_or_method")


def names_test_data(what: object) -> bool:
    if isinstance(what, str):
        return "test_secret" in what
    return type(what).__name__ in ("JudgeData", "TableJudge", "TrainJudge", "Table", "Digits")


def reachable(root: object) -> list[object]:
    """Everything reachable by attributes and containers, not through modules and classes."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        at = waiting.pop()
        if (
            id(at) in seen
            or isinstance(at, type)
            or type(at).__name__ in ("module", "function", "builtin_function_or_method")
        ):
            continue
        seen[id(at)] = at
        waiting += [r for r in gc.get_referents(at) if not isinstance(r, type)]
        if type(at).__name__ == "Tensor":
            waiting.append(at.cpu().numpy())  # type: ignore[attr-defined]
    return list(seen.values())


def test_the_scan_would_find_a_leak(table_path: Path) -> None:
    leak = {"holder": [{"path": f"{table_path}#test_secret"}]}
    assert [what for what in reachable(leak) if names_test_data(what)]


def test_training_served_from_memory_is_continued_like_the_one_it_repeats() -> None:
    lab = make_lab(Budget(evaluations=5), Scripted(answers=[0.5, 0.4]), "cache")
    short = Proposal(proposals(1)[0].architecture, Fidelity(1.0))
    first, again = lab.evaluate(short), lab.evaluate(short)
    continued = lab.evaluate(Proposal(short.architecture, Fidelity(4.0), resume=again.number))
    assert (again.cached, again.number, continued.value) == (True, first.number + 1, 0.4)


def test_a_restored_lab_knows_its_incumbent_its_memory_and_what_can_be_continued() -> None:
    first = make_lab(Budget(evaluations=5), Scripted(answers=[0.3]), "cache")
    proposal = proposals(1)[0]
    first.evaluate(proposal)
    second = make_lab(Budget(evaluations=5), Scripted(answers=[0.9]), "cache")
    second.load_state_dict(first.state_dict())
    assert second.incumbent.value == 0.3
    assert second.evaluate(proposal).cached
    assert second.evaluate(Proposal(proposal.architecture, Fidelity(epochs=2), resume=0)).status == "ok"
    assert second.spent.evaluations == 2


def test_a_restored_lab_gives_the_next_repeat_its_own_noise() -> None:
    def seeds_of(restored: bool) -> list[int]:
        estimator, same = Scripted(), proposals(1)[0]
        lab = make_lab(Budget(evaluations=9), estimator)
        lab.evaluate(same)
        lab.evaluate(same)
        if restored:
            state, lab = lab.state_dict(), make_lab(Budget(evaluations=9), estimator)
            lab.load_state_dict(state)
        lab.evaluate(same)
        return estimator.seeds

    assert seeds_of(restored=True) == seeds_of(restored=False)
    assert len(set(seeds_of(restored=True))) == 3


def test_what_was_refused_has_not_been_repeated() -> None:
    estimator = Scripted(cost=Cost(evaluations=99))
    lab, same = make_lab(Budget(evaluations=9), estimator), proposals(1)[0]
    with pytest.raises(BudgetExhausted):
        lab.evaluate(same)
    estimator.cost = Cost(evaluations=1)
    lab.evaluate(same)
    assert estimator.seeds == [Seeds("s", 0).seed("noise", f"{same.architecture.key}|epochs=4|0")]


def test_noise_of_an_evaluation_is_a_function_of_replicate_key_fidelity_and_repeat_alone() -> None:
    estimator = Scripted()
    lab, (one, other) = make_lab(Budget(evaluations=9), estimator), proposals(2)
    for proposal in (one, other, one, Proposal(one.architecture, Fidelity(epochs=2))):
        lab.evaluate(proposal)
    expected = [(one, 4, 0), (other, 4, 0), (one, 4, 1), (one, 2, 0)]
    told = Seeds("s", 0)
    assert estimator.seeds == [told.seed("noise", f"{p.architecture.key}|epochs={e}|{r}") for p, e, r in expected]


def test_what_another_estimator_measured_is_charged_and_recorded_and_no_more() -> None:
    own, other = Scripted(answers=[0.5, 0.4]), Scripted(answers=[0.1, 0.2])
    lab = make_lab(Budget(evaluations=9), own, "cache")
    one, two = proposals(2)
    first = lab.evaluate(one)
    inherited = [lab.evaluate(one, other), lab.evaluate(one, other)]
    assert [t.value for t in inherited] == [0.1, 0.2]  # nothing is served from memory, to it or from it
    assert not any(t.cached for t in inherited)
    assert lab.incumbent.number == first.number
    lab.evaluate(two, other)
    assert not lab.evaluate(two).cached
    assert (lab.spent.evaluations, lab.trials) == (5, 5)


def test_memory_knows_fidelities_apart_and_remembers_failures() -> None:
    lab = make_lab(Budget(evaluations=9), Scripted(answers=[EvaluationFailed("nan", "diverged"), 0.4]), "cache")
    same = proposals(1)[0].architecture
    short = Proposal(same, Fidelity(epochs=1))
    failed, longer, again = lab.evaluate(short), lab.evaluate(Proposal(same)), lab.evaluate(short)
    assert (failed.status, longer.status, longer.cached) == ("nan", "ok", False)
    assert (again.status, again.cached, again.cost) == ("nan", True, Cost())


def test_only_repeats_in_a_row_end_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from searchbench.harness.running import repeats

    monkeypatch.setattr(repeats, "STALLED_AFTER", 5)
    lab = make_lab(Budget(evaluations=9), Scripted(), "cache")
    for proposal in proposals(3):
        for _ in range(6):  # one that is charged and five that are served
            lab.evaluate(proposal)
    with pytest.raises(Stalled):
        lab.evaluate(proposals(3)[2])


def test_seconds_that_end_just_on_the_limit_count() -> None:
    lab = make_lab(Budget(seconds=20), Scripted(cost=Cost(evaluations=1, simulated_s=10)))
    lab.evaluation.estimator.price = lambda *_: Cost(evaluations=1)  # type: ignore[method-assign]
    assert [lab.evaluate(p).status for p in proposals(3)] == ["ok", "ok", "timeout"]


def test_what_is_affordable_is_what_every_limit_leaves() -> None:
    lab = make_lab(Budget(evaluations=10, macs=1000), Scripted())
    assert lab.affordable(Cost(evaluations=1, macs=100)) == 10
    assert lab.affordable(Cost(evaluations=1, macs=300)) == 3
    assert lab.affordable(Cost(device_s=1.0)) == 10**9  # nothing that is limited
    for proposal in proposals(4):
        lab.evaluate(proposal)
    assert lab.affordable(Cost(evaluations=1, macs=100)) == 6
    assert lab.affordable(Cost(evaluations=7)) == 0
    assert lab.left() == {"evaluations": 6, "macs": 600}


@pytest.mark.parametrize(
    ("one", "other", "holds"),
    [
        (Fidelity(epochs=4, subset=0.5), Fidelity(epochs=3, subset=1.0), 1),  # 2 against 3
        (Fidelity(epochs=4, subset=1.0), Fidelity(epochs=3, subset=1.0), 0),
        (Fidelity(epochs=4, width=0.5, resolution=0.5), Fidelity(epochs=1, width=1.0, resolution=1.0), 1),  # equal
    ],
)
def test_incumbent_is_of_the_largest_product_of_fidelities(one: Fidelity, other: Fidelity, holds: int) -> None:
    from searchbench.harness.running.incumbent import Incumbent
    from searchbench.trial import Trial

    incumbent = Incumbent()
    for number, (fidelity, value) in enumerate(((one, 0.5), (other, 0.4))):
        incumbent.offer(Trial(number, proposals(2)[number].architecture, fidelity, "ok", value, Cost()))
    assert incumbent.number == holds
