"""What a search notes about a proposal until the proposal is answered."""

from __future__ import annotations

from typing import Generic, TypeVar

from searchbench.spaces.space import Architecture
from searchbench.trial import Proposal, Trial

Note = TypeVar("Note")


class UnderWay(Generic[Note]):
    """Notes beside the proposals that are being measured, however many, answered in whatever order.

    Nothing in a trial names its proposal but the architecture and the training's length. Where one architecture is
    under way twice, the very object that was proposed is looked for; where that is gone too (it came from another
    process), the earlier proposal is taken to be answered first.
    """

    def __init__(self) -> None:
        self._notes: dict[Architecture, list[tuple[Proposal, Note]]] = {}

    def add(self, proposal: Proposal, note: Note) -> Proposal:
        """Note something beside a proposal, and return the proposal."""
        self._notes.setdefault(proposal.architecture, []).append((proposal, note))
        return proposal

    def __len__(self) -> int:
        """How many proposals are under way."""
        return sum(map(len, self._notes.values()))

    def take(self, trial: Trial) -> Note | None:
        """The note of the proposal that `trial` answers, which is forgotten; None where nobody proposed it."""
        waiting = self._notes.get(trial.architecture)
        if not waiting:
            return None
        at = 0 if len(waiting) == 1 else min(range(len(waiting)), key=lambda k: _distance(waiting[k][0], trial))
        _, note = waiting.pop(at)
        if not waiting:
            del self._notes[trial.architecture]
        return note


def _distance(proposal: Proposal, trial: Trial) -> tuple[bool, bool]:
    """How badly a trial of the same architecture answers a proposal: the lower the better."""
    another_length = proposal.fidelity.epochs not in (None, trial.fidelity.epochs)
    return another_length, proposal.architecture is not trial.architecture
