"""Writing to a store that may go away under a running study: its file deleted or replaced, its disk full."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from searchbench.errors import StoreError
from searchbench.results.records import StudyRecord
from searchbench.results.store import ResultStore, open_store


@dataclass(slots=True)
class Writing:
    """What a driver writes a study's results through. Where the store refuses, what is finished goes into a file
    beside it, and `refused` says so from then on: nothing new may be begun.
    """

    store: ResultStore
    study: str
    declared: list[StudyRecord]
    """The study's declarations, as the store held them when it could be read."""
    refused: StoreError | None = None
    """Why nothing more can be written to the store, and where the rest stands."""

    def write(self, write: Callable[[ResultStore], None]) -> None:
        """Write, into the store or else beside it.

        Raises:
            StoreError: the store's own, where nothing can be written beside it either.
        """
        try:
            write(self.store)
        except StoreError as refused:
            self._rescue(write, refused)

    def _rescue(self, write: Callable[[ResultStore], None], error: StoreError) -> None:
        path = self.store.location.path
        if path is None:
            raise error
        place = path.absolute().with_name(f"{path.stem}.rescue.db")
        try:
            with suppress(OSError):
                place.parent.mkdir(parents=True, exist_ok=True)  # the whole folder may have been deleted
            if not place.exists():
                with suppress(StoreError):  # an open file that was deleted can still be read
                    self.store.copy(place)
            with open_store(place, write=True) as rescue:
                if not rescue.revisions(self.study):
                    for declared in self.declared:
                        rescue.add_study(declared)
                write(rescue)
        except StoreError:
            raise error from None
        self.refused = StoreError(
            f"{error} What has finished is in `{place}`, a store of its own; `searchbench merge` puts it together with "
            "what is left of the other."
        )
