"""Telling the two kinds of search apart by what they can do."""

from __future__ import annotations

from typing import Literal

from searchbench.errors import StudyError
from searchbench.registry import lacking
from searchbench.strategies.strategy import AskTellSearch, TrainingSearch

_KINDS: dict[Literal["ask/tell", "training"], type] = {"ask/tell": AskTellSearch, "training": TrainingSearch}


def search_kind(search: object) -> Literal["ask/tell", "training"]:
    """Which of the two kinds a live search is.

    Raises:
        StudyError: it is neither, and which members it lacks to be the kind that it has most of.
    """
    lacks = {kind: lacking(search, protocol) for kind, protocol in _KINDS.items()}
    whole = [kind for kind, missing in lacks.items() if not missing]
    if len(whole) == 1:
        return whole[0]
    if whole:
        raise StudyError(
            f"a search either asks and tells or advances, but {type(search).__name__} does both; "
            "leave out `ask` and `tell`, or `advance`."
        )
    meant: Literal["ask/tell", "training"] = "training" if callable(getattr(search, "advance", None)) else "ask/tell"
    missing = ", ".join(f"`{name}`" for name in lacks[meant])
    has = "`advance`, so it trains, but" if meant == "training" else "no `advance`, so it asks and tells, but"
    raise StudyError(f"the search {type(search).__name__} has {has} lacks {missing}; add what it lacks.")
