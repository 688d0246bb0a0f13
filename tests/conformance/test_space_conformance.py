"""Every registered space passes the public conformance suite, with settings of its own: a row each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from small_spaces import SMALL, VARIANTS, each

from searchbench import Choice, Space
from searchbench.errors import StudyError
from searchbench.spaces import SPACES
from searchbench.spaces.space import Architecture
from searchbench.testing import ConformanceError, check_space
from searchbench.testing.described import elsewhere

IMPOSSIBLE = {
    "nasbench201": [{"channels": 0}],
    "darts": [{"channels": 0}],
    "shuffle": [{"stem": 15}],
    "mobile-fairnas": [{"strides": (2, 2)}],
    "mobile-proxyless": [{"last": 0}],
    "fbnet": [{"channels": (8, 15)}, {"strides": (2, 2)}],
    "mobile-ofa": [{"kernels": (3, 4)}, {"depths": (3, 2)}, {"expansions": (1, 3)}],
    "mobile-superkernel": [{"kernels": (5, 3)}, {"strides": (1, 2)}],
    "mobile-scarlet": [{"last": 0}],
    "mixnet": [{"kernels": (3, 6)}, {"pointwise": ("b",)}, {"channels": (24, 41, 80, 120, 200)}],
    "efficientnet": [{"widths": (0.0,)}, {"layers": (1, 2)}],
    "nsga-net": [{"nodes": 0}],
    "densenas": [{"widths": ((24, 16), (32,), (64,), (96,))}, {"strides": (2,)}],
    "auto-keras": [{"widths": 0}, {"layers": 0}],
    "mixpath": [{"paths": 5}, {"expansions": (1, 6)}],
    "macro": [{"layers": (2, 0)}],
}


def test_every_registered_space_has_its_row() -> None:
    assert set(SMALL) == set(SPACES.builtin)


@pytest.mark.parametrize("name", SMALL)
def test_space_conforms(name: str) -> None:
    space = SPACES.factory(name)(**SMALL[name])
    assert space.name == (name if not name.startswith("darts-") or "rnn" in name else "darts")
    report = check_space(space, draws=30, another_process=False, shape=(1, 8, 8) if space.reads == "images" else ())
    assert {c.verdict for c in report.checks if c.behaviour == "reads back what it writes, every option"} == {"pass"}
    if space.networks is not None:
        assert not [c for c in report.checks if c.verdict == "skip" and "networks" in c.behaviour]


@pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=str)
def test_points_of_other_settings_conform(name: str, settings: dict[str, Any]) -> None:
    space = replace(SPACES.factory(name)(**settings), networks=None)
    check_space(space, draws=20, another_process=False)


def test_every_space_is_the_same_in_another_process_with_another_hash_seed() -> None:
    spaces = [SPACES.factory(name)(**settings) for name, settings in SMALL.items()]
    assert elsewhere(each, spaces) == each(spaces)


@pytest.mark.parametrize(("name", "settings"), [(name, s) for name, rows in IMPOSSIBLE.items() for s in rows])
def test_impossible_settings_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(StudyError):
        SPACES.factory(name)(**settings)


# -- the suite itself finds what is wrong --------------------------------------------------------------------------

PLAIN = (Choice("left", ("a", "b", "c")), Choice("right", ("a", "b")))


def lying_size(space: Space) -> Space:
    class Lying(Space):
        size = 7.0

    return Lying(space.name, space.decisions)


def first_letter(architecture: Architecture) -> str:
    return str(architecture)[:1]


def forgetful(architecture: Architecture) -> str:
    return f"{id(architecture)}"


def shifted(architecture: Architecture) -> str:
    return f"left={architecture['right']},right={architecture['right']}"


class Wandering(Space):
    """Mutations change everything, crossover invents, draws come from nowhere."""

    def mutate(self, architecture: Any, rng: Any) -> Any:
        other = {"a": "b", "b": "a", "c": "a"}
        return Architecture(self, tuple(other[v] for v in architecture.values))

    def crossover(self, a: Any, b: Any, rng: Any) -> Any:
        return Architecture(self, ("c", "b"))

    def neighbours(self, architecture: Any) -> Any:
        return [architecture]

    def sample(self, rng: Any) -> Any:
        import numpy as np

        return Architecture(self, ("ab"[np.random.randint(2)], "ab"[np.random.randint(2)]))  # noqa: NPY002


class Illegal(Space):
    def sample(self, rng: Any) -> Any:
        return Architecture(self, ("z", "a"))


FAULTY = {
    "has a name and decisions": Space("empty", ()),
    "reads back what it writes, every option": Space("crossed", PLAIN, writer=shifted),
    "gives the same key again": Space("forgetful", PLAIN, canonical=forgetful),
    "survives pickling": Space("forgetful", PLAIN, canonical=lambda a: f"{a}"),
    "has the size it says": lying_size(Space("lying", PLAIN)),
    "draws legal architectures": Illegal("illegal", PLAIN),
    "mutates to legal architectures, one decision at a time": Wandering("wandering", PLAIN),
    "recombines parents legally": Wandering("wandering", PLAIN),
    "lists legal neighbours, none twice": Wandering("wandering", PLAIN),
    "leaves every global generator alone": Wandering("wandering", PLAIN),
}


@pytest.mark.parametrize("behaviour", FAULTY)
def test_suite_finds_a_faulty_space(behaviour: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_space(FAULTY[behaviour], another_process=False)
    assert caught.value.report is not None
    found = {check.behaviour: check for check in caught.value.report.wrong}
    assert behaviour in found
    assert found[behaviour].means
    assert found[behaviour].way_out


def reads_all_but_one(space: Space, text: str) -> Architecture:
    return space.architecture((int(text) if text != "777" else 776,))


def test_every_option_is_written_and_read_not_only_those_that_are_drawn() -> None:
    rare = Choice("rare", (*range(20), 777, *range(20, 40)))
    space = Space("rare", (rare,), writer=lambda a: str(a["rare"]), reader=reads_all_but_one)
    with pytest.raises(ConformanceError, match=r"\(777,\) is written '777', which cannot be read"):
        check_space(space, another_process=False, draws=1)


def test_an_option_that_reads_back_as_another_type_is_found() -> None:
    def reads(space: Space, text: str) -> Architecture:
        return Architecture(space, (float(text),))

    space = Space("typed", (Choice("units", (1, 2)),), writer=lambda a: str(a["units"]), reader=reads)
    with pytest.raises(ConformanceError, match="reads back as"):
        check_space(space, another_process=False)
