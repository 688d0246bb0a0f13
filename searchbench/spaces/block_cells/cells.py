"""Cells made of blocks, each of which combines two earlier states: NASNet's, PNAS's and ENAS's micro space.

States 0 and 1 are the cell's inputs (the cell before the last, the last); block number b, counted from 0, makes state
b + 2 from two states, each through an operation of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice, When
from searchbench.spaces.space import Architecture, Space

Half = tuple[int, str]
"""The state a block reads, and the operation on it."""
Block = tuple[Half, Half, str]
"""Two halves, and how they are combined."""
Cell = tuple[Block, ...]

ADD, CONCAT = "add", "concat"
NORMAL, REDUCTION = "normal", "reduction"
BLOCKS = "blocks"
"""The decision that says how many blocks a cell has, in spaces where that varies."""


def decisions(
    cell: str, blocks: int, operations: Sequence[str], combiners: Sequence[str] = (ADD,), grows: bool = False
) -> list[Choice]:
    """The decisions of one cell, block by block: both states, both operations, the combiner if there are several.

    Where the cell `grows`, those of a block are active only if there are as many blocks.
    """
    found = []
    for block in range(1, blocks + 1):
        states = tuple(range(block + 1))
        when = When(BLOCKS, tuple(range(block, blocks + 1))) if grows and block > 1 else None
        found += [Choice(f"{cell} {block} input {side}", states, when) for side in "ab"]
        found += [Choice(f"{cell} {block} op {side}", tuple(operations), when) for side in "ab"]
        if len(combiners) > 1:
            found.append(Choice(f"{cell} {block} combiner", tuple(combiners), when))
    return found


def legal_blocks(number: int, operations: Sequence[str], combiners: Sequence[str] = (ADD,)) -> list[Block]:
    """Every block that can stand at a place, counted from 1, halves unordered: C(n (number + 1) + 1, 2) per combiner
    with n operations."""
    halves = list(itertools.product(range(number + 1), operations))
    pairs = itertools.combinations_with_replacement(halves, 2)
    return [(a, b, how) for (a, b), how in itertools.product(pairs, combiners)]


def cells_of(architecture: Architecture) -> dict[str, Cell]:
    """The cells of an architecture by name, in order."""
    found: dict[str, list[Block]] = {}
    values = architecture.as_dict()
    for name in values:
        if name.endswith(" input a"):
            cell, block, *_ = name.split()
            of = f"{cell} {block}"
            first, second = ((_state(values[f"{of} input {s}"]), str(values[f"{of} op {s}"])) for s in "ab")
            found.setdefault(cell, []).append((first, second, str(values.get(f"{of} combiner", ADD))))
    return {cell: tuple(blocks) for cell, blocks in found.items()}


def growing(space: Space, cell: Cell) -> Architecture:
    """The architecture of a space with one cell, of any number of blocks. Raises SpaceError."""
    values: dict[str, object] = {BLOCKS: len(cell)}
    for number, (*halves, how) in enumerate(cell, start=1):
        of = f"{NORMAL} {number}"
        for side, (state, operation) in zip("ab", halves, strict=True):
            values |= {f"{of} input {side}": state, f"{of} op {side}": operation}
        if f"{of} combiner" in space.position:
            values[f"{of} combiner"] = how
    return space.architecture(values)


def loose_ends(cell: Cell) -> tuple[int, ...]:
    """States that no block reads, inputs included: together they are the cell's output."""
    read = {state for first, second, _ in cell for state, _ in (first, second)}
    return tuple(state for state in range(len(cell) + 2) if state not in read)


def canonical_cell(cell: Cell) -> str:
    """A text that isomorphic cells share: the halves of an added block in order, the blocks in the smallest of their
    possible orders.

    Blocks are taken one after the other, always one whose text is smallest under the numbers given so far; where
    several are alike, all ways to go on are tried.
    """
    if not cell:
        return ""
    ways: list[tuple[tuple[str, ...], dict[int, int]]] = [((), {0: 0, 1: 1})]
    for _ in cell:
        grown = [
            ((*texts, _text(block, names)), {**names, at + 2: len(names)})
            for texts, names in ways
            for at, block in enumerate(cell)
            if at + 2 not in names and all(state in names for state, _ in block[:2])
        ]
        least = min(texts for texts, _ in grown)
        # ways that gave the same numbers to the same states go on alike
        ways = list({tuple(sorted(names.items())): (texts, names) for texts, names in grown if texts == least}.values())
    return " ".join(ways[0][0])


def canonical(architecture: Architecture) -> str:
    """The canonical texts of all cells."""
    return "|".join(canonical_cell(cell) for cell in cells_of(architecture).values())


def write(architecture: Architecture) -> str:
    """Cells apart by bars, blocks by spaces, each as ``state:op+state:op`` (``*`` for a concatenation)."""
    return "|".join(
        " ".join(f"{a}:{f}{'+' if how == ADD else '*'}{b}:{g}" for (a, f), (b, g), how in cell)
        for cell in cells_of(architecture).values()
    )


def read(space: Space, text: str) -> Architecture:
    """Parse what `write` writes. Raises SpaceError."""
    values: dict[str, object] = {}
    names = list(dict.fromkeys(d.name.split()[0] for d in space.decisions if d.name != BLOCKS))
    cells = text.split("|")
    if len(cells) != len(names):
        raise SpaceError(f"`{space.name}` has {len(names)} cells, apart by bars, but {text!r} has {len(cells)}.")
    for cell, blocks in zip(names, cells, strict=True):
        for number, block in enumerate(blocks.split(), start=1):
            values |= _read_block(f"{cell} {number}", block, space)
        if BLOCKS in space.position:
            values[BLOCKS] = len(blocks.split())
    return space.architecture(values)


def _read_block(of: str, text: str, space: Space) -> dict[str, object]:
    halves = text.replace("*", "+").split("+")
    parts = [half.partition(":") for half in halves]
    if len(parts) != 2 or not all(state.isdecimal() for state, _, _ in parts):
        raise SpaceError(f"a block is written `state:op+state:op`, but got {text!r}.")
    found: dict[str, object] = {}
    for side, (state, _, operation) in zip("ab", parts, strict=True):
        found |= {f"{of} input {side}": int(state), f"{of} op {side}": operation}
    if f"{of} combiner" in space.position:
        found[f"{of} combiner"] = CONCAT if "*" in text else ADD
    return found


def _text(block: Block, names: dict[int, int]) -> str:
    (a, f), (b, g), how = block
    halves = [f"{names[a]}:{f}", f"{names[b]}:{g}"]
    return "+".join(sorted(halves)) if how == ADD else "*".join(sorted(halves))


def _state(value: object) -> int:
    assert isinstance(value, int)
    return value
