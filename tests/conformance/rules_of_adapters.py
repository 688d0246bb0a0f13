"""What adapters promise: the library hears of its own trials, each with its own value, and of nothing else."""

from __future__ import annotations

import math
from typing import Any

from searchbench.strategies.adapters.flat import flatten
from searchbench.testing import Flight
from searchbench.testing.in_flight import Anything
from searchbench.trial import Proposal, Trial


def tickets_in_order(flight: Flight) -> dict[int, Trial]:
    """What came of each ticket that was answered."""
    return dict(zip(flight.tickets, flight.trials, strict=True))


class OwnTrials(Anything):
    """Of Optuna: its n-th trial is the n-th proposal; it holds that proposal's parameters and, once answered, what
    came of that very proposal, failures as failures."""

    def __init__(self, strategy: Any) -> None:
        self.objectives: tuple[str, ...] = getattr(strategy, "objectives", ("value",))

    def told(self, flight: Flight, trial: Trial) -> None:
        from optuna.trial import TrialState

        came = tickets_in_order(flight)
        for ticket, theirs in enumerate(flight.search._study.trials):  # type: ignore[attr-defined]
            assert list(theirs.params.values()) == flatten(flight.asked[ticket].architecture)
            ours = came.get(ticket)
            if ours is None:
                assert theirs.state == TrialState.RUNNING
            elif ours.failed:
                assert theirs.state == TrialState.FAIL
            else:
                values = [{"value": ours.value, **ours.metrics}[name] for name in self.objectives]
                assert (theirs.state, theirs.values) == (TrialState.COMPLETE, values)


class OwnTrainings(Anything):
    """Of Optuna's pruners: what a trial reports at each of its stops is what came of that stop of its own training."""

    def __init__(self, strategy: Any) -> None:
        self.training: dict[int, int] = {}
        """Optuna's trial of each ticket."""
        self.begun = 0

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        if proposal.resume is None:
            mine, self.begun = self.begun, self.begun + 1
        else:
            mine = self.training[flight.tickets[proposal.resume]]
        self.training[len(flight.asked) - 1] = mine

    def told(self, flight: Flight, trial: Trial) -> None:
        reported: dict[int, dict[int, float]] = {}
        for ticket, came in tickets_in_order(flight).items():
            if not came.failed:
                at = int(came.fidelity.epochs or 0)
                reported.setdefault(self.training[ticket], {})[at] = came.value
        for number, theirs in enumerate(flight.search._inner._study.trials):  # type: ignore[attr-defined]
            assert theirs.intermediate_values == reported.get(number, {})


class OwnPoints(Anything):
    """Of scikit-optimize: it is told every point with the value that came of it, in the order of arrival; a failure
    counts as the worst so far."""

    def __init__(self, strategy: Any) -> None:
        self.points: list[list[Any]] = []
        self.values: list[float] = []
        self.worst = -math.inf

    def told(self, flight: Flight, trial: Trial) -> None:
        if not trial.failed:
            self.worst = max(self.worst, trial.value)
        if math.isfinite(self.worst):
            self.points.append(flatten(trial.architecture))
            self.values.append(self.worst if trial.failed else trial.value)
        optimizer = flight.search._optimizer  # type: ignore[attr-defined]
        assert [list(point) for point in optimizer.Xi] == self.points
        assert list(optimizer.yi) == self.values


class OwnJobs(Anything):
    """Of Tune: whoever proposed a job hears what came of it at its end, once, under the job's own name; a scheduler
    hears of each stop of each job in the order in which they came back."""

    def __init__(self, strategy: Any) -> None:
        self.heard: list[tuple[str, float | None]] = []
        self.stops: list[tuple[str, float, float]] = []
        self.job: dict[int, str] = {}
        self.begun = 0

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        if not self.begun:
            self.listen(flight.search)
        if proposal.resume is None:
            name, self.begun = f"{self.begun:06d}", self.begun + 1
        else:
            name = self.job[flight.tickets[proposal.resume]]
        self.job[len(flight.asked) - 1] = name

    def listen(self, search: Any) -> None:
        """Put an ear between the search and the library."""
        if search._searcher is not None:
            ends = search._searcher.on_trial_complete

            def ended(name: str, result: Any, error: bool = False) -> Any:
                self.heard.append((name, None if error else result["value"]))
                return ends(name, result, error=error)

            search._searcher.on_trial_complete = ended
        if search._scheduler is not None:
            reports = search._scheduler.on_trial_result

            def reported(controller: Any, job: Any, result: Any) -> Any:
                self.stops.append((job.trial_id, result["training_iteration"], result["value"]))
                return reports(controller, job, result)

            search._scheduler.on_trial_result = reported

    def told(self, flight: Flight, trial: Trial) -> None:
        name = self.job[flight.tickets[trial.number]]
        if flight.search._scheduler is None:  # type: ignore[attr-defined]
            assert self.heard[-1] == (name, None if trial.failed else trial.value)
            assert len(self.heard) == len(flight.trials)
        elif not trial.failed and trial.fidelity.epochs != flight.scenario.stops[-1]:
            assert self.stops[-1] == (name, trial.fidelity.epochs, trial.value)
