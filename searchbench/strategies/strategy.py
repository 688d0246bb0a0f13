"""How a strategy meets the harness.

A *strategy* is a frozen description (population 100, sample 25); `start` makes the live *search* of one run. A search
is one of two kinds, told apart by what it can do:

* ask/tell: proposes architectures to be measured and is told what came of them;
* training: owns a supernet and advances it a slice at a time, getting data and gradients only through the lab.

Nothing needs to be inherited. The harness owns the loop, the clock, the budget and the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from searchbench.cost import Budget, Cost
from searchbench.seeds import Seeds
from searchbench.spaces.space import Architecture, Space
from searchbench.tasks.task import Batch
from searchbench.trial import FULL, Fidelity, Proposal, Trial

if TYPE_CHECKING:
    import torch

    from searchbench.estimators.estimator import Estimator, InheritedScore
    from searchbench.spaces.networks import Active, Supernet
    from searchbench.spaces.topology import Form


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that a strategy is told before it starts. No data, no metric, nothing of the test."""

    space: Space
    seeds: Seeds
    """`seeds.rng("init")` is the stream of initial random designs, the same for every strategy of the replicate;
    `seeds.rng("search")` is the strategy's own."""
    budget: Budget
    full: Fidelity = FULL
    """What full fidelity means on this problem (epochs, …)."""
    trains: bool = False
    """Whether the problem's estimator trains networks, so that a supernet can be trained on its data."""
    stops: tuple[float, ...] = ()
    """Epochs at which an evaluation can end, ascending, the last those of the full training; none where the length of
    a training cannot be chosen."""
    continues: bool = True
    """Whether a longer evaluation goes on from a shorter one, and is charged the increment alone."""
    latency: Callable[[Architecture], float] | None = None
    """Milliseconds of an architecture, where the problem declares a latency."""
    macs: Callable[[Architecture], float] | None = None
    """Multiply-accumulates of an architecture's network for one image, where the space has networks of images."""


class Strategy(Protocol):
    """A frozen, printable, hashable description of how to search (a frozen dataclass, usually)."""

    def start(self, scenario: Scenario) -> Search: ...


@runtime_checkable
class AskTellSearch(Protocol):
    """Random search, grids, evolution, REINFORCE, Bayesian optimisation …"""

    def ask(self) -> Proposal | None:
        """What to measure next; None: nothing more to try (while results are awaited: nothing until one arrives)."""

    def tell(self, trial: Trial) -> None:
        """What came of it; failed trials arrive too, with value NaN."""


@runtime_checkable
class TrainingSearch(Protocol):
    """The DARTS family, one-shot and weight-sharing searches."""

    @property
    def done(self) -> bool:
        """Whether nothing more is to be done."""

    def advance(self, lab: Lab) -> None:
        """One slice, about an epoch, in which everything expensive goes through `lab`."""

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue after this slice."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


Search = AskTellSearch | TrainingSearch


Logged = float | str | Sequence[float] | Mapping[str, Sequence[float]]
"""What a search may log under a name."""
SplitName = Literal["train", "valid"]
Loss = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]


class Lab(Protocol):
    """The metered gate: everything expensive a training search does. Every charged call raises `BudgetExhausted`
    *before* the step that would exceed the budget."""

    @property
    def scenario(self) -> Scenario: ...
    @property
    def spent(self) -> Cost: ...

    def left(self) -> dict[str, float]:
        """What remains on each limited axis."""

    def affordable(self, price: Cost) -> int:
        """How many charges of `price` still fit."""

    def samples(self, split: SplitName) -> int:
        """Number of samples in a split."""

    def price(self, supernet: Supernet, active: Active, train: int = 0, infer: int = 0) -> Cost:
        """The charge for `train` samples forward and backward and `infer` samples forward."""

    def supernet(self, form: Form | None = None, key: str = "") -> Supernet:
        """A freshly initialised supernet of the problem's space on the run's device (seed role "supernet").

        Args:
            form: how it differs from the plain one.
            key: another key, other initial weights.
        """

    def sizes(self, split: SplitName, batch_size: int, share: tuple[float, float] = (0.0, 1.0)) -> list[int]:
        """Samples of each minibatch of the next pass, as `batches` will yield them."""

    def batches(self, split: SplitName, batch_size: int, share: tuple[float, float] = (0.0, 1.0)) -> Iterator[Batch]:
        """One pass over (a share of) a split in this replicate's order; each call begins the next epoch's order."""

    def gradients(self, supernet: Supernet, batch: Batch, active: Active, loss: Loss | None = None) -> float:
        """Forward and backward: adds to the gradients of all that requires them; returns the loss."""

    def hessian(
        self, supernet: Supernet, batch: Batch, active: Active, of: torch.Tensor, loss: Loss | None = None
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """v -> H v, H the Hessian of the loss in `of`. Charged as one `gradients`, and each product as two."""

    def step(
        self,
        supernet: Supernet,
        batch: Batch,
        active: Active,
        optimizer: torch.optim.Optimizer,
        loss: Loss | None = None,
        clip: float | None = None,
    ) -> float:
        """Clear gradients, `gradients`, clip the norm of the optimiser's parameters, one update."""

    def infer(self, supernet: Supernet, batch: Batch, active: Active) -> torch.Tensor:
        """Logits [B, classes], without gradient."""

    def inherited(
        self, supernet: Supernet, batch_size: int, recalibrate: int | None, score: InheritedScore | None = "error"
    ) -> Estimator:
        """The shared-weights estimator over this run's data: validation error of a path with inherited weights,
        after `recalibrate` training batches have re-estimated its batch-norm statistics (None: each batch that is
        classified has its own). `score` "loss" ranks by the validation loss, None where labels are few; see
        `SharedWeights`."""

    def full_price(self, architecture: Architecture) -> Cost:
        """The charge for an evaluation by the problem's own estimator at full fidelity."""

    def explore(
        self, search: AskTellSearch, estimator: Estimator | None = None, trials: int | None = None
    ) -> Trial | None:
        """Run an ask/tell search over `estimator` (None: the problem's own), metered and recorded, for at most
        `trials`; the best trial."""

    def recommend(self, architecture: Architecture, value: float = float("nan")) -> None:
        """What to hand over if the run ended now; free, at any time. The last one counts."""

    def log(self, **values: Logged) -> None:
        """A line of the search's own trace, kept in the record and drawn in the report; free, at any time.

        Args:
            values: numbers (entropy, skip count …), words, lists of numbers, or such lists by name. `epoch` counts from
                1 and places the line; a name keeps its kind from line to line. Nothing that a rerun does not repeat,
                such as a clock: `searchbench verify` compares the trace. `caveat`, a text, must be read with the
                result: that of the last line stands in the run's record, beside the leaderboard and in the
                checklist.
        """
