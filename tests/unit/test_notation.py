"""Options survive being written and read: what a judge reads is what the search meant."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.hyperparameters import hyperparameters
from searchbench.spaces.notation import check_round_trip
from searchbench.spaces.space import Space

HARD = {
    "lists": {"layers": [[64, 64], [128], []]},
    "a comma in a text": {"optimizer": ["sgd,nesterov", "sgd"]},
    "a number beside its text": {"n": [1, "1"]},
    "true beside its text": {"n": [True, "True", "true"]},
    "None beside its text": {"depth": [None, 3, "None", "null"]},
    "a name with an equals sign": {"a=b": [1, 2], "a": ["b=1", "b"]},
    "a name with a comma": {"a,b": [1, 2]},
    "texts that look quoted": {"n": ['"', '"1"', "1", "[1]", "[1", '"1', '\\"']},
    "a list beside its text": {"n": [[1], "[1]", "(1,)"]},
    "texts of other lines": {"n": ["a\nb", "a", "\x1b[31m", ""]},
    "half of a pair of code units": {"n": ["\udcff", "\\udcff"]},
}


def points(space: Space):
    return list(space.enumerate())


@pytest.mark.parametrize("declared", HARD.values(), ids=HARD)
def test_every_option_reads_back_as_itself_and_no_two_share_a_key(declared):
    space = pickle.loads(pickle.dumps(hyperparameters(**declared)))
    found = points(space)
    for point in found:
        again = space.parse(str(point))
        assert again == point
        assert [type(value) for value in again.values] == [type(value) for value in point.values]
        assert space.architecture(point.as_dict()) == point
        assert str(point).isprintable()
    assert len({point.key for point in found}) == len(found)
    check_round_trip(space)


def test_what_is_plain_is_written_as_it_was_before():
    space = hyperparameters(lr={"float": [1e-4, 1e-1]}, n={"int": [1, 9]}, o=["sgd", "a=b"], b=[True, False])
    point = space.architecture({"lr": 0.001, "n": 3, "o": "a=b", "b": True})
    assert str(point) == "lr=0.001,n=3,o=a=b,b=True"


def test_equal_points_are_written_alike_however_their_values_are_spelt():
    space = Space("s", (Float("lr", 0, 10), Integer("n", 0, 9), Choice("c", (1, 2))))
    points = [space.architecture(values) for values in ((1, 1, 1), (1.0, 1, 1.0), (np.float64(1), 1, True))]
    assert {str(point) for point in points} == {"lr=1.0,n=1,c=1"}
    assert len({point.key for point in points}) == 1


def test_none_is_an_option_and_not_an_inactive_decision():
    space = hyperparameters(depth=[None, 3], leaf={"choice": [1, 2], "when": {"depth": [3]}})
    free = space.parse("depth=None")
    assert free["depth"] is None
    assert free.as_dict() == {"depth": None}
    assert space.parse("depth=3,leaf=2").as_dict() == {"depth": 3, "leaf": 2}
    rng = np.random.default_rng(0)
    assert {space.mutate(space.parse("depth=3,leaf=1"), rng).key for _ in range(50)} == {"depth=None", "depth=3,leaf=2"}
    assert {space.sample(rng).key for _ in range(50)} == {"depth=None", "depth=3,leaf=1", "depth=3,leaf=2"}


def test_a_condition_on_none_holds_while_none_is_chosen():
    space = Space("s", (Choice("a", (None, 1)), Choice("b", ("x", "y"), When("a", (None,)))))
    assert {point.key for point in space.enumerate()} == {"a=None,b=x", "a=None,b=y", "a=1"}


TEXTS = st.text(st.characters(), max_size=6)
OPTIONS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(allow_nan=False), TEXTS, st.lists(st.integers(0, 3)), TEXTS
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXTS.filter(bool), st.lists(OPTIONS, min_size=1, max_size=5), min_size=1, max_size=3))
def test_whatever_is_declared_reads_back_or_is_refused_when_it_is_declared(declared):
    try:
        space = Space("any", tuple(Choice(name, tuple(options)) for name, options in declared.items()))
    except SpaceError:  # two options alike (1 and true)
        return
    for point in space.enumerate():
        again = space.parse(str(point))
        assert again == point
        assert again.key == point.key


class Same:
    def __str__(self) -> str:
        return "same"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Choice("c", (math.nan, 1)), "NaN"),
        (lambda: Choice("c", ({1: 2}, 1)), "told apart"),
        (lambda: Space("s", (Choice("c", (Same(), Same())),)), "written alike"),
        (lambda: Choice(name=3, options=(1, 2)), "must be a text"),
        (lambda: Integer("n", 0, 2**70), "64 bits"),
        (lambda: Float("f", 0, math.inf), "finite"),
        (lambda: Float("f", 0, 10**400), "finite"),
        (lambda: Float("f", -1.7e308, 1.7e308), "finite"),
    ],
)
def test_options_that_no_text_can_tell_apart_and_endless_ranges_are_refused(make, says):
    with pytest.raises(SpaceError, match=says):
        make()


def test_a_text_that_names_a_decision_twice_or_none_is_refused():
    space = hyperparameters(a=[1, 2])
    for text in ("a=1,a=2", "a", "a=1,,", "=1", "a=3", '"a=1', "a=[1,2"):
        with pytest.raises(SpaceError):
            space.parse(text)


def test_a_writer_that_its_reader_does_not_undo_is_noticed():
    space = Space(
        "liar",
        (Choice("a", (1, 2)),),
        canonical=lambda architecture: str(architecture["a"]),
        writer=lambda architecture: "a",
        reader=lambda space, text: space.architecture({"a": 1}),
    )
    with pytest.raises(SpaceError, match="inverse of its writer"):
        check_round_trip(space)
