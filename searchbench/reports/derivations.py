"""Sentences on how architectures were derived from the weights of operations, where an edge may take `none`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from searchbench.results.records import RunRecord

SAID = {
    "excluded": "without `none` (Liu et al. 2019)",
    "connected": "with `none` as long as something of the input arrives",
    "allowed": "with `none` as it comes, also where nothing arrives (NAS-Bench-201's own protocol)",
}
NAMED = 4
"""Strategies of the default protocol that are named; those of another all are."""


def derivations(problem: Mapping[str, Any], runs: Iterable[RunRecord]) -> tuple[str, ...]:
    """Sentences on how the searches of a problem derived what they handed over, one for each protocol; none where no
    edge can take `none`, or nothing is derived from weights."""
    decisions = problem.get("space", {}).get("decisions", ())
    if not any("none" in decision.get("options", ()) for decision in decisions):
        return ()
    by_rule: dict[str, list[str]] = {}
    for strategy, description in {run.strategy: run.description for run in runs}.items():
        rules = set(_rules(_read(description)))
        for rule in sorted(rules & SAID.keys()):
            by_rule.setdefault(rule, []).append(strategy)
    return tuple(f"derived {said}: {_named(by_rule[rule], rule)}" for rule, said in SAID.items() if rule in by_rule)


def _named(strategies: list[str], rule: str) -> str:
    shown = strategies[:NAMED] if rule == "excluded" else strategies
    beyond = len(strategies) - len(shown)
    return ", ".join(shown) + (f" and {beyond} more" if beyond else "")


def _read(description: str) -> object:
    try:
        return json.loads(description)
    except ValueError:
        return None


def _rules(described: object) -> Iterator[str]:
    """What every rule of derivation in a description says of `none`; one that says nothing leaves it out."""
    if isinstance(described, Mapping):
        rule = described.get("discretise")
        if isinstance(rule, Mapping):
            yield str(rule.get("none", "excluded"))
        for part in described.values():
            yield from _rules(part)
    elif isinstance(described, list):
        for part in described:
            yield from _rules(part)
