"""What the trials of a run leave for later ones: results to serve again, trainings to continue, a count of repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from searchbench.errors import SpaceError
from searchbench.harness.running.incumbent import magnitude
from searchbench.seeds import Seeds
from searchbench.spaces.space import Architecture, Space
from searchbench.trial import Fidelity, Proposal, Trial

STALLED_AFTER = 10_000
"""Consecutive trials free of charge after which a run is ended: it will never exhaust its budget."""
WHOLE_AFTER = 100
"""Consecutive trials served from memory after which it is asked whether there is anything else in the space."""
COUNTED = 20_000
"""Points of a space that are listed to answer that."""

Identity = tuple[str, Fidelity]
"""Key of an architecture, as far as an evaluation reaches, and a completed fidelity: what makes two evaluations the
same."""


class Stalled(Exception):
    """The search has been asking for nothing that is charged for `STALLED_AFTER` trials."""


class Exhausted(Exception):
    """Every architecture of the space has been measured at full fidelity, and is served from memory from now on."""


class BegunTraining(NamedTuple):
    """A finished training that a later trial may continue."""

    key: str
    """Of its architecture, as far as it has come."""
    fidelity: Fidelity
    seed: int
    """Of its noise, which the continuation shares."""


class Repeats:
    """The memory of one run's evaluations by the problem's own estimator.

    Args:
        seeds: of the replicate.
        serves: whether a repeated evaluation is served from memory, free of charge.
    """

    def __init__(self, seeds: Seeds, serves: bool) -> None:
        self._seeds, self._serves = seeds, serves
        self._known: dict[Identity, Trial] = {}
        self._times: dict[Identity, int] = {}
        self._trainings: dict[int, BegunTraining] = {}
        self._served_in_a_row = 0
        self._free_in_a_row = 0
        self._size: float | None = None
        self._words: dict[Fidelity, str] = {}

    def remembered(self, architecture: Architecture, fidelity: Fidelity) -> Trial | None:
        """The trial that an evaluation would repeat, where it is to be served."""
        return self._known.get(_identity(architecture, fidelity)) if self._serves else None

    def check_ends(self, space: Space) -> None:
        """Raise Stalled or Exhausted where one more trial is to be served and no later one would be charged.

        A space of up to `WHOLE_AFTER` points is counted at the first repeat, a larger one once so many came in a row.
        """
        self.check_stalled()
        served = self._served_in_a_row
        if served and (served % WHOLE_AFTER == 0 or self._points(space) <= WHOLE_AFTER) and self._whole(space):
            raise Exhausted("every architecture of the space has been measured")

    def check_stalled(self) -> None:
        """Raise Stalled where one more trial that may be free of charge would be one too many in a row."""
        if self._free_in_a_row >= STALLED_AFTER:
            raise Stalled(f"{STALLED_AFTER} trials in a row were free of charge")

    def _points(self, space: Space) -> float:
        if self._size is None:
            self._size = space.size
        return self._size

    def _whole(self, space: Space) -> bool:
        if self._points(space) > COUNTED or not self._known:
            return False
        best = max(magnitude(fidelity) for _, fidelity in self._known)
        measured = {key for key, fidelity in self._known if magnitude(fidelity) == best}
        return all(architecture.key in measured for architecture in space.enumerate())

    def continued(self, proposal: Proposal) -> BegunTraining | None:
        """The training that a proposal continues. Raises SpaceError where it is not one of its architecture."""
        if proposal.resume is None:
            return None
        begun = self._trainings.get(proposal.resume)
        if begun is None or begun.key != proposal.architecture.key_at(begun.fidelity.epochs):
            raise SpaceError(
                "`resume` must be the number of an earlier trial of the same architecture (of a schedule that begins "
                f"alike), but trial {proposal.resume} is not one of {proposal.architecture}."
            )
        return begun

    def noise_seed(self, architecture: Architecture, fidelity: Fidelity) -> int:
        """The seed of an evaluation's noise: alike for all strategies of a replicate, another for every repeat."""
        identity = key, _ = _identity(architecture, fidelity)
        repeat = self._times.get(identity, 0)
        self._times[identity] = repeat + 1
        words = self._words.get(fidelity)
        if words is None:  # most runs have one fidelity, and writing it takes longer than a look-up in a table
            words = self._words[fidelity] = str(fidelity)
        return self._seeds.seed("noise", f"{key}|{words}|{repeat}")

    def note(self, trial: Trial, seed: int, own: bool, paid: bool) -> None:
        """Keep what a measured trial leaves.

        Args:
            trial: the trial.
            seed: of its noise.
            own: whether the problem's own estimator measured it.
            paid: whether it was charged on a limited axis.
        """
        self._served_in_a_row = 0
        self._free_in_a_row = 0 if paid else self._free_in_a_row + 1
        if own and trial.fidelity.epochs is not None:
            begun = trial.architecture.key_at(trial.fidelity.epochs)
            self._trainings[trial.number] = BegunTraining(begun, trial.fidelity, seed)
        if own and self._serves:
            self._known[_identity(trial.architecture, trial.fidelity)] = trial

    def serve(self, number: int, known: int) -> None:
        """Let trial `number`, served from memory, be continued like trial `known`, which it repeats."""
        self._served_in_a_row += 1
        self._free_in_a_row += 1
        if known in self._trainings:
            self._trainings[number] = self._trainings[known]

    def state_dict(self) -> dict[str, Any]:
        return {
            "known": dict(self._known),
            "times": dict(self._times),
            "trainings": dict(self._trainings),
            "served_in_a_row": self._served_in_a_row,
            "free_in_a_row": self._free_in_a_row,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._known, self._times = dict(state["known"]), dict(state["times"])
        self._trainings, self._served_in_a_row = dict(state["trainings"]), state["served_in_a_row"]
        self._free_in_a_row = state.get("free_in_a_row", 0)


def _identity(architecture: Architecture, fidelity: Fidelity) -> Identity:
    return architecture.key_at(fidelity.epochs), fidelity
