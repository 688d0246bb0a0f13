"""Latency as a metric of any problem: out of a table of blocks, out of a table of architectures, or measured here.

A description (`LatencySpec`) is opened for a space and the shape of its inputs; what that gives maps an architecture
to milliseconds. A problem with a latency reports it as the metric `latency_ms` of every trial and verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from searchbench.errors import EvaluationFailed, SpaceError, StudyError, TableError
from searchbench.registry import Entry, Registry
from searchbench.spaces.chains.latency_names import NAMINGS, BlockNames, Shape, block_names
from searchbench.spaces.space import Architecture, Space
from searchbench.tables.file import digest, read_columns, stamp
from searchbench.tables.table import Join, as_join

METRIC = "latency_ms"


class Latency(Protocol):
    """A live latency of one space's architectures."""

    def __call__(self, architecture: Architecture) -> float:
        """Milliseconds."""


@runtime_checkable
class LatencySpec(Protocol):
    """A frozen description of where latencies come from."""

    @property
    def deterministic(self) -> bool:
        """Whether the same architecture always has the same latency; False for what is measured."""

    def checksum(self) -> str:
        """Digest of the file it reads; "" where there is none."""

    def open(self, space: Space, shape: Shape, classes: int) -> Latency: ...


@dataclass(frozen=True, slots=True)
class BlockTable:
    """The sum of a network's blocks, each looked up.

    LAT(a) = sum_layers F(block chosen there) + sum F(fixed blocks); leaving a block out takes no time

    Args:
        path: Parquet, CSV or gzipped CSV with a row per block; found as tables of results are.
        block: the column of blocks' names.
        latency: the column of their milliseconds.
        names: how blocks are named: "choices" (``layer 3=k5e6``, and ``fixed`` for all outside the decisions), or
            "shapes", ProxylessNAS's keys of type, shapes, expansion, kernel, stride and residual.
        shape: channels, height, width that the table was taken at; None: the task's.
        classes: likewise.

    Raises:
        StudyError: blocks are not named so.

    Source: Cai et al. 2019, "ProxylessNAS", section 3.3 and appendix B (a latency model of the sum of blocks).
    """

    path: str = field(metadata={"described": False})
    block: str = "block"
    latency: str = "latency_ms"
    names: str = "choices"
    shape: Shape | None = None
    classes: int | None = None
    deterministic = True

    def __post_init__(self) -> None:
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(self.shape))
        if self.names not in NAMINGS:
            raise StudyError(f"`names` must be one of {', '.join(NAMINGS)}, but got {self.names!r}.")

    def checksum(self) -> str:
        return digest(stamp(self.path))

    def open(self, space: Space, shape: Shape, classes: int) -> SumOfBlocks:
        """Read it.

        Raises:
            DataMissing: the file is not there.
            TableError: it lacks a block of the space, or has one twice; names the block.
            StudyError: the space has no such blocks.
        """
        names = block_names(self.names, space, self.shape or shape, self.classes or classes)
        path = stamp(self.path)[0]
        columns = read_columns(path, [self.block], [self.latency])
        known: dict[str, float] = {}
        for row, (block, ms) in enumerate(zip(columns.texts[self.block], columns.numbers[self.latency], strict=True)):
            if block in known:
                raise columns.refuse(row, self.block, f"block `{block}` stands there twice.")
            if not (np.isfinite(ms) and ms >= 0):
                raise columns.refuse(row, self.latency, f"a latency must not be negative, but got {ms}.")
            known[block] = float(ms)
        wanted = [*names.fixed, *(name for options in names.options for name in options if name is not None)]
        missing = list(dict.fromkeys(name for name in wanted if name not in known))
        if missing:
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise TableError(
                f"latency table {path} lacks the block `{missing[0]}`{more} of space `{space.name}`; "
                "measure it, or change the space's widths or `shape` to those of the table."
            )
        return SumOfBlocks(space, names, known)


@dataclass(frozen=True, slots=True, eq=False)
class SumOfBlocks:
    """A live table of blocks."""

    space: Space
    names: BlockNames
    known: dict[str, float]

    def __call__(self, architecture: Architecture) -> float:
        total = sum(self.known[name] for name in self.names.fixed)
        for decision, options, value in zip(self.space.decisions, self.names.options, architecture.values, strict=True):
            name = options[tuple(decision.values()).index(value)]
            total += 0.0 if name is None else self.known[name]
        return total


@dataclass(frozen=True, slots=True)
class ArchitectureTable:
    """Latencies of whole architectures, looked up.

    Args:
        path: Parquet, CSV or gzipped CSV with a row per architecture.
        latency: the column of milliseconds, of one device.
        architecture: the column of architectures, in the space's notation; in the file of `join`, where that is given.
        join: a second file that says which architecture a row is: a `Join`, or `path` and `on`.
    """

    path: str = field(metadata={"described": False})
    latency: str
    architecture: str = "architecture"
    join: Join | None = None
    deterministic = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "join", as_join(self.join))

    def checksum(self) -> str:
        paths = [self.path] + ([self.join.path] if self.join else [])
        return "+".join(digest(stamp(path)) for path in paths)

    def open(self, space: Space, shape: Shape, classes: int) -> Listed:
        """Read it. Raises DataMissing, TableError."""
        key = self.join.on if self.join else self.architecture
        columns = read_columns(stamp(self.path)[0], [key], [self.latency])
        texts = columns.texts[key]
        if self.join is not None:
            named = read_columns(stamp(self.join.path)[0], [key, self.architecture], [])
            pairs = dict(zip(named.texts[key], named.texts[self.architecture], strict=True))
            absent = next((row for row, text in enumerate(texts) if text not in pairs), None)
            if absent is not None:
                raise columns.refuse(absent, key, f"{texts[absent]!r} is not in {self.join.path}.")
            texts = [pairs[text] for text in texts]
        known: dict[str, float] = {}
        for row, (text, ms) in enumerate(zip(texts, columns.numbers[self.latency], strict=True)):
            try:
                architecture = space.parse(text)
            except SpaceError as error:
                raise columns.refuse(row, key, str(error)) from error
            known[str(architecture)] = float(ms)
        return Listed(Path(columns.path).name, known)


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """A live table of architectures."""

    file: str
    """Its name, not its path: a search holds this."""
    known: dict[str, float]

    def __call__(self, architecture: Architecture) -> float:
        """Raises EvaluationFailed where the table has no such architecture, or no latency of it."""
        ms = self.known.get(str(architecture), float("nan"))
        if not np.isfinite(ms):
            raise EvaluationFailed("error", f"latency table {self.file} has no latency of {architecture}.")
        return ms


@dataclass(frozen=True, slots=True)
class Measured:
    """The median time of whole networks on this machine, each measured once per process; *not* deterministic.

    Args:
        batch_size: images at a time.
        warmup: runs that are not counted.
        repeats: runs whose median counts.
        threads: of PyTorch, while it measures.

    Raises:
        StudyError: a value is out of range.
    """

    batch_size: int = 1
    warmup: int = 5
    repeats: int = 25
    threads: int = 1
    deterministic = False

    def __post_init__(self) -> None:
        if self.warmup < 0 or min(self.batch_size, self.repeats, self.threads) < 1:
            raise StudyError(
                f"`batch_size`, `repeats` and `threads` must be at least 1 and `warmup` at least 0, but got {self}."
            )

    def checksum(self) -> str:
        """Empty: no file is read."""
        return ""

    def open(self, space: Space, shape: Shape, classes: int) -> Latency:
        """Raises SpaceError where the space has no networks."""
        from searchbench.estimators.stopwatch import Stopwatch

        return Stopwatch(self, space, shape, classes)


LATENCIES = Registry(
    kind="latency",
    group="searchbench.latencies",
    builtin={
        "block-table": Entry("searchbench.estimators.latency:BlockTable", "sums the looked-up latencies of blocks"),
        "architecture-table": Entry(
            "searchbench.estimators.latency:ArchitectureTable", "looks latencies of whole architectures up"
        ),
        "measured": Entry("searchbench.estimators.latency:Measured", "runs the network on this machine, the median"),
    },
)
