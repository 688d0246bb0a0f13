"""From what a search is given, no attribute leads to what it may not have: judges, ledgers, records, paths, data."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import searchbench as sb
from searchbench import Problem
from searchbench.estimators.batches import Batches
from searchbench.estimators.bench import Bench
from searchbench.estimators.from_scratch import FromScratch
from searchbench.estimators.shared_weights import SharedWeights
from searchbench.harness.declared.plan import RunSpec, plan
from searchbench.harness.declared.problem import ResolvedProblem
from searchbench.harness.declared.study import Contestant
from searchbench.harness.running.account import Account
from searchbench.harness.running.evaluation import Evaluation
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.ledger import Ledger
from searchbench.harness.running.record import Record
from searchbench.harness.running.run import run_search
from searchbench.harness.running.supernets import Supernets
from searchbench.results.store import ResultStore
from searchbench.tables.lookup import Records, TableEstimator, TestLookup
from searchbench.tables.recorded_rows import RecordedRows
from searchbench.tables.table import Table, TableJudge
from searchbench.tasks.digits import Digits
from searchbench.tasks.task import JudgeData, SearchData, Split

LEAVES = (type, types.ModuleType, np.ndarray, np.random.Generator, torch.Tensor, torch.nn.Module, str, bytes, float)
CODE = ("__globals__", "__builtins__", "__class__", "__code__", "__dict__")


def attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    """(path, object) of whatever an attribute, an item or a cell of it holds; code is not walked, but what it keeps."""
    if isinstance(thing, LEAVES):
        return
    if isinstance(thing, Mapping):
        for key, value in list(thing.items())[:10_000]:
            yield "[key]", key
            yield f"[{key!r}]"[:40], value
    elif isinstance(thing, tuple | list | set | frozenset):
        for at, value in enumerate(list(thing)[:10_000]):
            yield f"[{at}]", value
    for name in dir(thing):
        if name in CODE:
            continue
        try:
            value = getattr(thing, name)
        except Exception:
            continue
        if isinstance(value, types.MethodWrapperType | types.BuiltinMethodType):
            continue  # of the interpreter's own, bound to the thing itself
        if isinstance(value, types.FrameType):
            yield from ((f".{name}.f_locals[{n}]", v) for n, v in value.f_locals.items())
        elif isinstance(value, types.CellType):
            yield f".{name}", value.cell_contents
        else:
            yield f".{name}", value


def reached(roots: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Everything that attributes lead to, with the path to it, each object once."""
    found: dict[int, Any] = {}
    waiting = list(roots.items())
    while waiting:
        path, thing = waiting.pop()
        if id(thing) in found or path.count(".") + path.count("[") > 12:
            continue
        found[id(thing)] = thing  # kept, so that no other takes its id
        yield path, thing
        waiting += ((path + step, value) for step, value in attributes(thing))


class Given:
    """A strategy that keeps what it is given."""

    kept: dict[str, Any]

    def start(self, scenario: Any) -> Any:
        self.kept["scenario"] = scenario
        return Asking(self.kept, scenario) if not scenario.trains else Training(self.kept)


class Asking:
    def __init__(self, kept: dict[str, Any], scenario: Any) -> None:
        self.kept, self.scenario, self.rng = kept, scenario, scenario.seeds.rng("search")

    def ask(self) -> Any:
        return sb.Proposal(self.scenario.space.sample(self.rng))

    def tell(self, trial: Any) -> None:
        self.kept["trial"] = trial


class Training:
    done = False

    def __init__(self, kept: dict[str, Any]) -> None:
        self.kept = kept

    def advance(self, lab: Any) -> None:
        net = lab.supernet()
        scorer = lab.inherited(net, 64, 1)
        design = lab.scenario.space.sample(np.random.default_rng(0))
        measured = scorer.evaluate(design, scorer.complete(sb.Fidelity()), 0)
        self.kept |= {"lab": lab, "batches": lab.batches("valid", 64), "supernet": net, "scorer": scorer}
        batch = next(lab.batches("train", 64))
        of = next(p for p in net.parameters() if p.requires_grad)
        self.kept |= {"measured": measured, "spent": lab.spent, "batch": batch}
        self.kept["product"] = lab.hessian(net, batch, net.path(design), of)
        lab.recommend(design)
        self.done = True

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


def given_on(problem: sb.Problem, budget: sb.Budget) -> dict[str, Any]:
    """What a search holds after a run on a problem."""
    strategy = Given()
    strategy.kept = {}
    study = sb.Study("s", problem, {"given": strategy}, [0], budget)
    result = run_search(plan(study).runs[0])
    assert result.status == "ok", result.error
    return strategy.kept


SECRET = (
    RunSpec, Contestant, Problem, ResolvedProblem,  # what was declared, the judge in it
    Table, TableJudge, TestLookup, TableEstimator, RecordedRows, Records,
    MeteredLab, Account, Ledger, Evaluation, Supernets, Record, ResultStore,
    Bench, Batches, SearchData, JudgeData, Split, Digits, FromScratch, SharedWeights,
)  # fmt: skip


def secrets(roots: Mapping[str, Any], words: tuple[str, ...] = ()) -> list[str]:
    """Paths to what a search must not reach."""
    return [
        f"{path}: {type(thing).__name__}"
        for path, thing in reached(roots)
        if isinstance(thing, SECRET) or (isinstance(thing, str) and any(word in thing for word in words))
    ]


@pytest.fixture
def recorded(tmp_path: Path) -> sb.Problem:
    """A table of four settings, with latencies in the same file."""
    rows = [f'"x={x},y={y}",0.{x}{y},0.{y}{x},{x + y}' for x in (1, 2) for y in (3, 4)]
    path = tmp_path / "recorded.csv"
    path.write_text("\n".join(["architecture,validation,test,ms", *rows]))
    return sb.Problem(
        sb.Use("hyperparameters", x=[1, 2], y=[3, 4]),
        "digits",
        sb.Use("table", path=str(path), test="test"),
        latency=sb.Use("architecture-table", path=str(path), latency="ms"),
        constraint={"latency_ms": 5.0},
    )


def test_asking_search_reaches_no_records_no_judge_and_no_path(recorded: sb.Problem, tmp_path: Path) -> None:
    held = given_on(recorded, sb.Budget(evaluations=5))
    assert secrets(held, (str(tmp_path),)) == []


def test_training_search_reaches_no_ledger_no_estimator_and_no_data() -> None:
    small = sb.Use("nasbench201", channels=2, cells=1, stages=1)
    held = given_on(sb.Problem(small, "digits", sb.Use("train", epochs=1)), sb.Budget(samples=5_000))
    assert held["spent"].inference_samples > 0  # who asks the scorer directly pays too
    assert secrets(held) == []


def test_the_walk_would_find_what_a_lab_holds() -> None:
    from tiny_lab import lab

    opened = lab()
    found = secrets({"step": opened.step, "batches": opened.supernets.bench.batches("valid", 4, 0, (0.0, 1.0))})
    assert {path.rpartition(": ")[2] for path in found} >= {"Ledger", "Batches"}
