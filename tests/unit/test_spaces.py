"""Spaces and architectures, and NAS-Bench-201's in particular."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.nasbench201.space import OPERATIONS, nasbench201
from searchbench.spaces.space import Architecture, Space

NB201 = nasbench201()
MIXED = Space(
    "mixed",
    (
        Choice("kind", ("sgd", "adam")),
        Float("momentum", 0.0, 0.9, when=When("kind", ("sgd",))),
        Choice("nesterov", (True, False), when=When("kind", ("sgd",))),
        Integer("layers", 1, 3),
    ),
)
FINITE = Space("finite", (Choice("a", (0, 1)), Choice("b", ("x", "y", "z"), when=When("a", (1,))), Integer("n", 1, 2)))
NUMBERS = Space("numbers", (Float("x", -1.5, 7), Choice("c", ("a", "b", "c")), Float("y", 1e-4, 10, log=True)))
SPACES = [NB201, MIXED, FINITE, NUMBERS]
SEEDS = st.integers(0, 2**32)


def legal(architecture: Architecture) -> bool:
    return architecture.space.architecture(architecture.values) == architecture


@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)
@given(seed=SEEDS)
def test_every_move_ends_in_a_legal_architecture(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = space.sample(rng), space.sample(rng)
    for moved in (a, space.mutate(a, rng), space.crossover(a, b, rng), *space.neighbours(a)):
        assert legal(moved)


@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)
@given(seed=SEEDS)
def test_architecture_survives_its_notation_and_pickling(space: Space, seed: int) -> None:
    a = space.sample(np.random.default_rng(seed))
    assert space.parse(str(a)) == a
    copy = pickle.loads(pickle.dumps(a))
    assert copy == a
    assert (hash(copy), copy.key, copy["layers" if space is MIXED else space.decisions[0].name]) == (
        hash(a),
        a.key,
        a["layers" if space is MIXED else space.decisions[0].name],
    )


@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)
def test_draws_are_those_of_as_many_samples(space: Space) -> None:
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    assert space.draws(20, one) == [space.sample(other) for _ in range(20)]
    assert one.random() == other.random()


@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)
@pytest.mark.parametrize("count", [0, 1, 30])
def test_encodings_are_those_of_each(space: Space, count: int) -> None:
    drawn = space.draws(count, np.random.default_rng(4))
    assert np.array_equal(space.encodings(drawn), np.array([space.encode(one) for one in drawn]))


@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.name)
def test_architectures_have_one_identity_where_they_have_one_key(space: Space) -> None:
    drawn = space.draws(200, np.random.default_rng(5))
    keys = {one.key: one.identity for one in drawn}
    assert [one.identity for one in drawn] == [keys[one.key] for one in drawn]
    assert len(set(keys.values())) == len(keys)


@given(seed=SEEDS)
def test_mutation_changes_exactly_one_operation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = NB201.sample(rng)
    b = NB201.mutate(a, rng)
    assert sum(x != y for x, y in zip(a.values, b.values, strict=True)) == 1


@given(seed=SEEDS)
def test_crossover_takes_every_decision_from_a_parent(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = NB201.sample(rng), NB201.sample(rng)
    assert all(c in pair for c, *pair in zip(NB201.crossover(a, b, rng).values, a.values, b.values, strict=True))


def test_samples_and_mutations_are_uniform() -> None:
    rng = np.random.default_rng(0)
    drawn = [NB201.sample(rng) for _ in range(5000)]
    for edge in range(6):
        counts = [sum(a.values[edge] == op for a in drawn) for op in OPERATIONS]
        assert stats.chisquare(counts).pvalue > 1e-4
    where = [[x != y for x, y in zip(a.values, NB201.mutate(a, rng).values, strict=True)].index(True) for a in drawn]
    assert stats.chisquare(np.bincount(where, minlength=6)).pvalue > 1e-4


def test_neighbourhood_has_24_cells_each_one_operation_away() -> None:
    a = NB201.sample(np.random.default_rng(1))
    around = NB201.neighbours(a)
    assert len(set(around)) == len(around) == 24
    assert all(sum(x != y for x, y in zip(a.values, b.values, strict=True)) == 1 for b in around)


def test_newly_active_neighbour_gets_the_first_value() -> None:
    adam = MIXED.architecture({"kind": "adam", "layers": 2})
    assert MIXED.architecture({"kind": "sgd", "momentum": 0.0, "nesterov": True, "layers": 2}) in MIXED.neighbours(adam)


def test_conditional_space_is_counted_and_enumerated_through_its_conditions() -> None:
    assert FINITE.size == len(set(FINITE.enumerate())) == (1 + 3) * 2
    assert MIXED.size == math.inf
    assert all(legal(a) for a in FINITE.enumerate())


def test_enumeration_is_lexicographic_and_whole() -> None:
    cells = list(NB201.enumerate())
    assert len(set(cells)) == NB201.size == 15_625
    assert [c.values for c in cells[:6]] == [("none",) * 5 + (op,) for op in OPERATIONS] + [
        ("none",) * 4 + ("skip_connect", "none")
    ]


def test_nasbench201_has_6466_distinct_functions() -> None:
    assert len({cell.key for cell in NB201.enumerate()}) == 6466


def expression(cell: Architecture, *, special: bool = True, drop: bool = False, flat: bool = False) -> str:
    """What the output computes from the input, written as the benchmark does: terms of a node sorted and joined.

    Args:
        special: whether `none`, and whatever reads nothing, is "#".
        drop: whether "#" is left out of sums.
        flat: whether a skipped sum is sorted term by term into the sum that it enters.
    """
    values, nodes = iter(cell.values), [["0"]]
    for target in (1, 2, 3):
        terms: list[str] = []
        for source in range(target):
            operation, read = next(values), "+".join(nodes[source])
            if special and (operation == "none" or read == "#"):
                terms += [] if drop else ["#"]
            elif operation == "skip_connect":
                terms += nodes[source] if flat else [read]
            else:
                terms.append(f"({read})@{operation}")
        nodes.append(sorted(terms) or ["#"])
    return "+".join(nodes[3])


def test_how_many_cells_are_distinct_depends_on_what_counts_as_the_same() -> None:
    cells = list(NB201.enumerate())
    by_name = {expression(cell, special=False) for cell in cells}
    without_zeros = {expression(cell, drop=True) for cell in cells}
    algebraic = {expression(cell, drop=True, flat=True) for cell in cells}
    assert (len(by_name), len(without_zeros), len(algebraic)) == (12_751, 5_390, 4_930)
    pairs = {(expression(cell), cell.key) for cell in cells}  # ours tells apart what the benchmark's own form does
    assert len(pairs) == len({key for _, key in pairs}) == len({own for own, _ in pairs}) == 6_466


def test_key_equals_where_functions_do() -> None:
    def cell(*ops: str) -> Architecture:
        return NB201.architecture(ops)

    c3, skip, none = "nor_conv_3x3", "skip_connect", "none"
    straight = cell(none, none, none, c3, none, none)
    copied = cell(skip, none, none, none, c3, none)
    doubled = cell(skip, none, none, c3, c3, none)
    assert straight != copied
    assert straight.key == copied.key != doubled.key


def test_notation_is_the_benchmarks() -> None:
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    cell = NB201.parse(text)
    assert str(cell) == text
    assert cell["3<-1"] == "nor_conv_3x3"
    assert "avg_pool_3x3" in cell.key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("|nor_conv_3x3~0|", "has 6 edges, but .* has 1"),
        ("|none~0|+|none~1|none~1|+|none~0|none~1|none~2|", "should come from node 0"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|magic~2|", "'magic' is not a legal value of `3<-2`"),
    ],
)
def test_broken_notation_is_refused_with_the_part(text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        NB201.parse(text)


def test_one_hot_and_path_encodings_of_a_cell() -> None:
    rng = np.random.default_rng(0)
    for a in (NB201.sample(rng) for _ in range(50)):
        one_hot, path = NB201.encode(a), NB201.encode(a, "path")
        assert (one_hot.shape, one_hot.sum()) == ((30,), 6)
        assert path.shape == (155,)
        assert 3 <= path.sum() <= 4  # two routes of length 2 may carry the same operations
        assert [OPERATIONS[i] for i in one_hot.reshape(6, 5).argmax(axis=1)] == list(a.values)
    with pytest.raises(SpaceError, match=r"no encoding `paths`; did you mean `path`"):
        NB201.encode(a, "paths")


def test_path_encoding_tells_cells_apart_by_their_routes_alone() -> None:
    encodings = {NB201.encode(a, "path").tobytes() for a in NB201.enumerate()}
    routes = {
        (v[3], frozenset([(v[0], v[4]), (v[1], v[5])]), (v[0], v[2], v[5]))
        for v in (a.values for a in NB201.enumerate())
    }
    assert len(encodings) == len(routes)


def test_inactive_decisions_encode_to_zeros() -> None:
    adam = MIXED.architecture({"kind": "adam", "layers": 3})
    assert MIXED.encode(adam).tolist() == [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def test_architecture_is_immutable_and_hashes_by_value() -> None:
    a, b = (NB201.sample(np.random.default_rng(0)) for _ in range(2))
    assert a == b
    assert a is not b
    assert len({a, b}) == 1
    with pytest.raises(AttributeError, match="immutable"):
        a.values = ()  # type: ignore[misc]
    with pytest.raises(SpaceError, match=r"no decision `4<-0`"):
        a["4<-0"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "sgd", "layers": 1}, "None is not a legal value of `momentum`"),
        ({"kind": "adam", "momentum": 0.5, "layers": 1}, "`momentum` is inactive"),
        ({"kind": "adam", "layers": 4}, "4 is not a legal value of `layers`"),
        ({"knd": "adam", "layers": 1}, "no decision `knd`; did you mean `kind`"),
        (("adam", None, None), "4 decisions, but got 3 values"),
    ],
)
def test_illegal_architecture_is_refused(values, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SpaceError, match=message):
        MIXED.architecture(values)


def test_badly_declared_space_is_refused() -> None:
    with pytest.raises(SpaceError, match="two decisions named `a`"):
        Space("s", (Choice("a", (1,)), Choice("a", (2,))))
    with pytest.raises(SpaceError, match="not an earlier decision"):
        Space("s", (Choice("a", (1,), When("b", (1,))), Choice("b", (1,))))
    for setting, value in itertools.product(("channels", "cells", "stages"), (0, 1.5, True)):
        with pytest.raises(StudyError, match=f"`{setting}` must be a positive integer"):
            nasbench201(**{setting: value})  # type: ignore[arg-type]


def test_space_without_networks_says_so() -> None:
    with pytest.raises(SpaceError, match="has no networks to build"):
        MIXED.builder()


def test_membership_is_by_name() -> None:
    assert NB201.sample(np.random.default_rng(0)) in nasbench201(channels=4)
    assert NB201.sample(np.random.default_rng(0)) not in MIXED
    assert "a string" not in NB201
