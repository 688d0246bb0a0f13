"""What a run holds while it runs, and where that is to be found; placing is Ray's work."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from searchbench.errors import StudyError, did_you_mean


@dataclass(frozen=True, slots=True)
class Resources:
    """Processors, cards, memory and whatever else a cluster names; part of no fingerprint, since they decide no number.

    Raises:
        StudyError: an amount is negative, not finite, or no number.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    """Cards; a share of one (0.25) lets as many runs share it."""
    memory_gb: float = 0.0
    """Memory that is set aside, in 1e9 bytes; a limit that kills stands in `[limits]`."""
    custom: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Amounts of what a cluster's nodes declare by names of their own."""

    def __post_init__(self) -> None:
        if not isinstance(self.custom, Mapping):
            raise StudyError(f"`resources.custom` must be a table such as {{ fast = 1 }}, but got {self.custom!r}.")
        amounts = {"cpus": self.cpus, "gpus": self.gpus, "memory_gb": self.memory_gb}
        for name, amount in [*amounts.items(), *((f"custom.{n}", a) for n, a in self.custom.items())]:
            if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < math.inf:
                raise StudyError(f"`resources.{name}` must be a number from 0 on, but got {amount!r}.")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise StudyError(f"`resources.gpus` must be a share of one card or whole cards, but got {self.gpus!r}.")

    def amounts(self) -> dict[str, float]:
        """What is needed of each resource, by Ray's names."""
        found = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory_gb * 1e9, **self.custom}
        return {name: float(amount) for name, amount in found.items() if amount}

    def as_node(self) -> dict[str, float]:
        """What a node with these amounts has of each resource, by Ray's names."""
        return {"CPU": float(self.cpus), **self.amounts()}

    def lacking(self, nodes: Iterable[Mapping[str, float]]) -> str:
        """Why no node can ever hold it, in words; nothing where one can."""
        known = list(nodes)
        for node in known:
            if all(node.get(name, 0.0) >= amount for name, amount in self.amounts().items()):
                return ""
        most = {name: max((node.get(name, 0.0) for node in known), default=0.0) for name in self.amounts()}
        needed = self.amounts().items()
        short = [f"{_said(n, a)} (most on one node: {_amount(n, most[n]):g})" for n, a in needed if most[n] < a]
        return ", ".join(short) or f"{', '.join(_said(n, a) for n, a in needed)} on one node"

    def to_spec(self) -> dict[str, Any]:
        """What is not as it is by default, as plain values."""
        told = {"cpus": self.cpus, "gpus": self.gpus, "memory_gb": self.memory_gb, "custom": dict(self.custom)}
        return {name: value for name, value in told.items() if value != getattr(Resources(), name)}


WORDS = {"CPU": "cpus", "GPU": "gpus", "memory": "memory_gb"}
"""Keys of a study file by Ray's names."""
KEYS = tuple(f.name for f in fields(Resources))
PARTS = ("judge", "problems", "strategies")
NODES = "nodes"
"""Key of what an autoscaler may add."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The resources of every part of a study: of all runs, of a problem's, of a strategy's, and of judges."""

    everything: Mapping[str, Any] = field(default_factory=dict, hash=False)
    judge: Mapping[str, Any] = field(default_factory=dict, hash=False)
    problems: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    strategies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    nodes: tuple[Resources, ...] = field(default=(), hash=False)
    """Nodes that a cluster has not yet, and may add where they are asked for."""

    @classmethod
    def of(
        cls, given: Mapping[str, Any] | Placement | None, problems: Iterable[str], strategies: Iterable[str]
    ) -> Placement:
        """Read a table of a study file.

        Raises:
            StudyError: a key or a label is unknown, or an amount impossible.
        """
        if given is None or isinstance(given, Placement):
            return given or cls()
        _check_table(given, "resources", (*KEYS, *PARTS, NODES))
        for part, labels in (("problems", list(problems)), ("strategies", list(strategies))):
            for label, own in _table(given.get(part, {}), f"resources.{part}").items():
                if label not in labels:
                    raise StudyError(f"`resources.{part}` names `{label}`; {did_you_mean(label, labels)}")
                _check_table(own, f'resources.{part}."{label}"', KEYS)
        _check_table(given.get("judge", {}), "resources.judge", KEYS)
        nodes = given.get(NODES, [])
        if not isinstance(nodes, list | tuple):
            raise StudyError(f"`resources.nodes` must be a list such as [{{ cpus = 8, gpus = 1 }}], but got {nodes!r}.")
        for one in nodes:
            _check_table(one, "resources.nodes", KEYS)
        everything = {key: value for key, value in given.items() if key in KEYS}
        parts = {part: dict(given.get(part, {})) for part in PARTS}
        found = cls(everything, **parts, nodes=tuple(Resources(**one) for one in nodes))
        for own in ({}, *found.problems.values(), *found.strategies.values(), found.judge):
            Resources(**{**everything, **own})
        return found

    def search(self, problem: str, strategy: str) -> Resources:
        """What a search holds: what is said of its strategy counts more than what is said of its problem."""
        return Resources(**{**self.everything, **self.problems.get(problem, {}), **self.strategies.get(strategy, {})})

    def verdict(self, problem: str) -> Resources:
        """What a judgement holds."""
        return Resources(**{**self.everything, **self.problems.get(problem, {}), **self.judge})

    def to_spec(self) -> dict[str, Any]:
        """The declaration in plain values; empty where nothing was."""
        parts = {"judge": self.judge, "problems": self.problems, "strategies": self.strategies}
        nodes = {NODES: [{"cpus": 1.0, **one.to_spec()} for one in self.nodes]} if self.nodes else {}
        return {**self.everything, **{name: dict(own) for name, own in parts.items() if own}, **nodes}


def driver_of(needs: Resources) -> Resources:
    """What a run holds whose evaluations are placed by themselves: it waits, and lends its processor meanwhile."""
    return replace(needs, cpus=min(needs.cpus, 1.0), gpus=0.0, memory_gb=0.0, custom={})


def _table(given: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise StudyError(f"`{where}` must be a table such as {{ cpus = 2, gpus = 0.5 }}, but got {given!r}.")
    return given


def _check_table(given: Any, where: str, known: Iterable[str]) -> None:
    for key in _table(given, where):
        if key not in tuple(known):
            raise StudyError(f"`{where}` has no key `{key}`; {did_you_mean(key, tuple(known))}")


def _said(name: str, amount: float) -> str:
    """A need under the key and in the unit that a study file has for it."""
    return f"`{WORDS.get(name, name)}` {_amount(name, amount):g}"


def _amount(name: str, amount: float) -> float:
    return amount / 1e9 if name == "memory" else amount
