"""The metered gate of one run: everything expensive passes through it, is checked against the budget *before* it
happens, charged, and recorded. A search cannot count its own trials, overspend, or reach test data: the lab holds
an estimator over training and validation data only.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from searchbench.cost import Cost
from searchbench.errors import BudgetExhausted, EvaluationFailed, SpaceError
from searchbench.harness.constraint import Excess
from searchbench.harness.incumbent import Incumbent
from searchbench.harness.ledger import Ledger
from searchbench.results.columns import TraceColumns, TrialColumns
from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import AskTellSearch, Logged, Loss, Scenario, SplitName
from searchbench.tasks.task import Batch
from searchbench.trial import FULL, Fidelity, Proposal, Recommendation, Status, Trial

if TYPE_CHECKING:
    import torch

    from searchbench.estimators.bench import Bench
    from searchbench.estimators.estimator import Estimator
    from searchbench.harness.study import Duplicates
    from searchbench.spaces.networks import Active, Supernet
    from searchbench.spaces.topology import Form

STALLED_AFTER = 10_000
"""Consecutive trials served free from memory after which a run is ended: it will never exhaust its budget."""


class Launched(NamedTuple):
    """A measurement that has begun: all that will come of it, not yet charged or numbered."""

    architecture: Architecture
    fidelity: Fidelity
    status: Status
    value: float
    cost: Cost
    metrics: Mapping[str, float]
    error: str | None
    own: bool
    """Whether the problem's own estimator measured it."""
    seed: int
    resumed: int | None
    repeats: int | None
    """Number of the trial it is served from, free of charge."""


class Stalled(Exception):
    """The search has been asking for nothing new for `STALLED_AFTER` trials."""


class MeteredLab:
    """The lab of one run. Implements `searchbench.strategies.strategy.Lab`.

    Args:
        scenario: what the strategy was told.
        estimator: the problem's own estimator, opened for this replicate.
        duplicates: "charge" or "cache".
        bench: the training side; None where the problem's estimator does not train.
        metrics: what is reported of an architecture beside its measurement, such as its latency.
    """

    def __init__(
        self,
        scenario: Scenario,
        estimator: Estimator,
        duplicates: Duplicates,
        bench: Bench | None = None,
        metrics: Callable[[Architecture], Mapping[str, float]] | None = None,
    ) -> None:
        self.scenario = scenario
        self.ledger = Ledger(scenario.budget)
        self.incumbent = Incumbent()
        self.final: Recommendation | None = None
        self.trials = 0
        self.held_cpu_s = 0.0
        """CPU seconds spent inside the lab's own calls: not the strategy's."""
        self._estimator = estimator
        self._cache = duplicates == "cache"
        self.columns = TrialColumns()
        self.traces = TraceColumns()
        self.refused = ""
        """Which limits the last recommendation exceeded that was not taken."""
        self._whole = scenario.space.whole
        self._metrics = metrics
        self._bench = bench
        self._memory: dict[tuple[str, Fidelity], Trial] = {}
        self._repeats: dict[tuple[str, Fidelity], int] = {}
        self._done: dict[int, tuple[str, Fidelity, int]] = {}
        self._fidelity_text: dict[Fidelity, str] = {}
        self._free = 0
        self._booked: Ledger | None = None
        self._epoch: dict[SplitName, int] = {"train": 0, "valid": 0}

    # -- the account -------------------------------------------------------------------------------------------

    @property
    def spent(self) -> Cost:
        return self.ledger.total()

    def left(self) -> dict[str, float]:
        return self.ledger.left()

    def affordable(self, price: Cost) -> int:
        return self.ledger.affordable(price)

    # -- measuring architectures -------------------------------------------------------------------------------

    def evaluate(self, proposal: Proposal, estimator: Estimator | None = None) -> Trial:
        """Measure a proposal, on the problem's estimator unless another is given.

        A failure of the evaluation comes back as a failed trial. Raises BudgetExhausted, with nothing spent.
        """
        if self._bench is None:  # a look-up costs less than reading the CPU clock
            return self.settle(self.launch(proposal, estimator))
        started = time.process_time()
        try:
            return self.settle(self.launch(proposal, estimator))
        finally:
            self.held_cpu_s += time.process_time() - started

    def simulated(self) -> None:
        """From now on evaluations overlap: a launch books its price at once, so that what is under way cannot
        overspend, and no clock of the host enters any charge."""
        self._booked = Ledger(self.scenario.budget)

    def launch(self, proposal: Proposal, estimator: Estimator | None = None) -> Launched:
        """Begin a measurement, which `settle` charges, numbers and records. Raises BudgetExhausted, nothing spent."""
        if not isinstance(proposal, Proposal) or proposal.architecture not in self._whole:
            raise SpaceError(
                f"`ask` must return a Proposal of an architecture of `{self.scenario.space.name}`, or None, "
                f"but got {proposal!r}."
            )
        own = estimator is None or estimator is self._estimator
        estimator = self._estimator if estimator is None else estimator
        fidelity = estimator.complete(proposal.fidelity)
        identity = (proposal.architecture.key, fidelity)
        if own and self._cache and identity in self._memory:
            return self._served(proposal.architecture, self._memory[identity])
        resume, seed = self._continued(proposal) if own else (None, None)
        price = estimator.price(proposal.architecture, fidelity, resume)
        (self._booked or self.ledger).check(price)
        if seed is None:
            seed = self._noise_seed(identity)
        if self._whole is self.scenario.space or proposal.architecture in self.scenario.space:
            measured = self._measure(estimator, proposal.architecture, fidelity, seed, resume, price)
        else:
            measured = (
                "error",
                float("nan"),
                price,
                {},
                f"breaks the constraint: {self._broken(proposal.architecture)}",
            )
        if self._booked is not None:
            self._booked.charge(measured[2])
        resumed = proposal.resume if resume is not None else None
        return Launched(proposal.architecture, fidelity, *measured, own, seed, resumed, None)

    def settle(self, launched: Launched, clock_s: float | None = None) -> Trial:
        """The trial, charged and recorded. `clock_s`: the simulated time at which it ended."""
        architecture, fidelity, status, value, cost, metrics, error, own, seed, resumed, repeats = launched
        if clock_s is not None:
            metrics = {**metrics, "clock_s": clock_s}
        number = self.trials
        trial = Trial(number, architecture, fidelity, status, value, cost, metrics, error, repeats is not None)
        if repeats is not None:
            if repeats in self._done:  # a training served from memory can be continued like the one it repeats
                self._done[number] = self._done[repeats]
        else:
            self.ledger.charge(cost)
            if own and fidelity.epochs is not None:
                self._done[number] = (architecture.key, fidelity, seed)
            if own and self._cache:
                self._memory[architecture.key, fidelity] = trial
            self._free = 0
        self._keep(trial, own, resumed)
        return trial

    def _measure(
        self,
        estimator: Estimator,
        architecture: Architecture,
        fidelity: Fidelity,
        seed: int,
        resume: Fidelity | None,
        price: Cost,
    ) -> tuple[Status, float, Cost, Mapping[str, float], str | None]:
        started = time.perf_counter() if self._booked is None else 0.0
        try:
            measurement, cost = estimator.evaluate(architecture, fidelity, seed, resume)
            if not math.isfinite(measurement.value):
                raise EvaluationFailed("nan", f"the validation value is {measurement.value}")
        except BudgetExhausted:
            raise
        except Exception as failure:
            if self._booked is None:
                price = price + Cost(device_s=time.perf_counter() - started)
            status, message = _failure(failure)
            return status, float("nan"), price, {}, message
        if self.ledger.too_late(cost):
            return "timeout", float("nan"), cost, {}, "the evaluation ended after the budget of seconds had run out."
        metrics = (
            measurement.metrics if self._metrics is None else {**measurement.metrics, **self._metrics(architecture)}
        )
        return "ok", measurement.value, cost, metrics, None

    def _broken(self, architecture: Architecture) -> str:
        """Which limits of the problem's constraint an architecture exceeds, in words."""
        limit = getattr(self.scenario.space, "amount", None)
        return limit.broken(architecture) if isinstance(limit, Excess) else str(architecture)

    def _noise_seed(self, identity: tuple[str, Fidelity]) -> int:
        key, fidelity = identity
        repeat = self._repeats.get(identity, 0)
        self._repeats[identity] = repeat + 1
        text = self._fidelity_text.get(fidelity)
        if text is None:
            text = self._fidelity_text[fidelity] = str(fidelity)
        return self.scenario.seeds.seed("noise", f"{key}|{text}|{repeat}")

    def _continued(self, proposal: Proposal) -> tuple[Fidelity | None, int | None]:
        """The fidelity reached, and the noise seed used, by the trial that `proposal` continues."""
        if proposal.resume is None:
            return None, None
        key, fidelity, seed = self._done.get(proposal.resume, (None, None, None))
        if key != proposal.architecture.key:
            raise SpaceError(
                "`resume` must be the number of an earlier trial of the same architecture, "
                f"but trial {proposal.resume} is not one of {proposal.architecture}."
            )
        return fidelity, seed

    def _served(self, architecture: Architecture, known: Trial) -> Launched:
        self._free += 1
        if self._free > STALLED_AFTER:
            raise Stalled(f"{STALLED_AFTER} trials in a row asked for nothing new")
        outcome = (known.status, known.value, Cost(), known.metrics, known.error)
        return Launched(architecture, known.fidelity, *outcome, True, 0, None, known.number)

    def _keep(self, trial: Trial, offer: bool, resumed: int | None = None) -> None:
        self.trials += 1
        if offer:
            self.incumbent.offer(trial)
        best = self.incumbent.number
        self.columns.append(
            str(trial.architecture),
            trial.architecture.key,
            trial.fidelity,
            trial.status,
            trial.value,
            spent=self.ledger.total(),
            recommended=best if best >= 0 else None,
            cached=trial.cached,
            error=trial.error,
            metrics=trial.metrics,
            resumed=resumed,
        )

    # -- what to hand over, and traces -------------------------------------------------------------------------

    def recommend(self, architecture: Architecture, value: float = float("nan")) -> None:
        if architecture not in self._whole:
            raise SpaceError(
                f"can only recommend an architecture of `{self.scenario.space.name}`, got {architecture!r}."
            )
        if self._whole is not self.scenario.space and architecture not in self.scenario.space:
            self.refused = self._broken(architecture)
            return
        self.final = Recommendation(self.trials, architecture, value, self.ledger.total())
        self.columns.recommend(str(architecture), architecture.key, value, self.final.spent)

    def log(self, **values: Logged) -> None:
        self.traces.append(values, self.ledger.total())

    # -- training supernets ------------------------------------------------------------------------------------

    @property
    def bench(self) -> Bench:
        if self._bench is None:
            raise SpaceError("this problem's estimator looks values up; there is no data to train a supernet on.")
        return self._bench

    def samples(self, split: SplitName) -> int:
        return self.bench.samples(split)

    def price(self, supernet: Supernet, active: Active, train: int = 0, infer: int = 0) -> Cost:
        macs = supernet.macs(active)
        return Cost(
            epochs=self.bench.epochs(train),
            train_samples=train,
            inference_samples=infer,
            macs=macs * (3 * train + infer),
        )

    def supernet(self, form: Form | None = None, key: str = "") -> Supernet:
        seed = self.scenario.seeds.torch_seed("supernet", key)
        return self.bench.supernet(seed) if form is None else self.bench.supernet(seed, form)

    def sizes(self, split: SplitName, batch_size: int, share: tuple[float, float] = (0.0, 1.0)) -> list[int]:
        seed = self.scenario.seeds.torch_seed("order", f"{split}|{self._epoch[split]}")
        return self.bench.sizes(split, batch_size, seed, share)

    def batches(self, split: SplitName, batch_size: int, share: tuple[float, float] = (0.0, 1.0)) -> Iterator[Batch]:
        epoch = self._epoch[split]
        self._epoch[split] = epoch + 1
        return self.bench.batches(split, batch_size, self.scenario.seeds.torch_seed("order", f"{split}|{epoch}"), share)

    def gradients(self, supernet: Supernet, batch: Batch, active: Active, loss: Loss | None = None) -> float:
        price = self.price(supernet, active, train=len(batch))
        self.ledger.check(price)
        with _Held(self, price):
            return self.bench.gradients(supernet, batch, active, loss)

    def step(
        self,
        supernet: Supernet,
        batch: Batch,
        active: Active,
        optimizer: torch.optim.Optimizer,
        loss: Loss | None = None,
        clip: float | None = None,
    ) -> float:
        optimizer.zero_grad(set_to_none=True)
        value = self.gradients(supernet, batch, active, loss)
        self.bench.update(optimizer, clip, batch.rate)
        return value

    def infer(self, supernet: Supernet, batch: Batch, active: Active) -> torch.Tensor:
        price = self.price(supernet, active, infer=len(batch))
        self.ledger.check(price)
        with _Held(self, price):
            return self.bench.infer(supernet, batch, active)

    def inherited(self, supernet: Supernet, batch_size: int, recalibrate: int | None) -> Estimator:
        seed = self.scenario.seeds.torch_seed("order", "recalibrate")
        return self.bench.inherited(supernet, batch_size, recalibrate, seed)

    def full_price(self, architecture: Architecture) -> Cost:
        return self._estimator.price(architecture, self._estimator.complete(FULL), None)

    def explore(
        self, search: AskTellSearch, estimator: Estimator | None = None, trials: int | None = None
    ) -> Trial | None:
        best: Trial | None = None
        done = 0
        while trials is None or done < trials:
            proposal = search.ask()
            if proposal is None:
                break
            trial = self.evaluate(proposal, estimator)
            done += 1
            search.tell(trial)
            if not trial.failed and (best is None or trial.value < best.value):
                best = trial
        return best

    # -- checkpoints -------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything the lab needs to continue a training search after a slice."""
        return {
            "ledger": self.ledger.total(),
            "epoch": dict(self._epoch),
            "final": self.final,
            "trials": self.trials,
            "repeats": dict(self._repeats),
            "done": dict(self._done),
            "memory": dict(self._memory),
            "incumbent": self.incumbent,
            "columns": self.columns,
            "traces": self.traces,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`'s result."""
        self.ledger = Ledger(self.scenario.budget)
        self.ledger.charge(state["ledger"])
        self._epoch = dict(state["epoch"])
        self.final = state["final"]
        self.trials = state["trials"]
        self._repeats, self._done = dict(state["repeats"]), dict(state["done"])
        self._memory, self.incumbent = dict(state["memory"]), state["incumbent"]
        self.columns, self.traces = state["columns"], state["traces"]


class _Held:
    """Charges a price plus the device seconds it took, and keeps the lab's own CPU time apart from the strategy's."""

    __slots__ = ("_cpu", "_lab", "_price", "_wall")

    def __init__(self, lab: MeteredLab, price: Cost) -> None:
        self._lab, self._price = lab, price

    def __enter__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._lab.ledger.charge(self._price)
        self._lab.ledger.device_s += time.perf_counter() - self._wall
        self._lab.held_cpu_s += time.process_time() - self._cpu


def _failure(error: Exception) -> tuple[Any, str]:
    if isinstance(error, EvaluationFailed):
        return error.reason, error.message
    if isinstance(error, MemoryError):
        return "memory", str(error) or "out of memory"
    return "error", "".join(traceback.format_exception(error)).strip()
