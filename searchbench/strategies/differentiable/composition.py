"""A differentiable search as a composition of parts, one per axis, and the rules of what goes together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING, Protocol, get_args, runtime_checkable

from searchbench.errors import StudyError
from searchbench.spaces.space import Space
from searchbench.spaces.topology import PLAIN, Form
from searchbench.strategies.differentiable.adversary import Adversary
from searchbench.strategies.differentiable.credit import LinearCredit, Shapley
from searchbench.strategies.differentiable.curvature import Lanczos
from searchbench.strategies.differentiable.discretise import Discretise, SpaceRule
from searchbench.strategies.differentiable.edges import EdgeSampling, FullEdges, PartialChannels
from searchbench.strategies.differentiable.extras import AuxiliarySkip, Extra, Forming, Viewing
from searchbench.strategies.differentiable.halting import OperationStop
from searchbench.strategies.differentiable.hypergradient import FirstOrder, Hypergradient, JointGradient, Unrolled
from searchbench.strategies.differentiable.pace import Pace, Settings, paced
from searchbench.strategies.differentiable.prune import Prune, Staged, Unpruned, stage_of
from searchbench.strategies.differentiable.regularise import Complexity, Regulariser
from searchbench.strategies.differentiable.relaxation import ClippedLinear, Relaxation, Softmax
from searchbench.strategies.differentiable.relaxation_experts import ByRank
from searchbench.strategies.differentiable.routes import RoutedEdges
from searchbench.strategies.differentiable.schedule import Alternate, Joint, Schedule
from searchbench.strategies.differentiable.split import DataSplit, TaskSplit
from searchbench.strategies.differentiable.stop import EarlyStop, ToTheEnd
from searchbench.strategies.differentiable.update import AdamSteps, Assigned, LogitUpdate
from searchbench.strategies.differentiable.widen import MoreChannels
from searchbench.strategies.strategy import Lab, Scenario, TrainingSearch
from searchbench.strategies.supernet import SupernetTraining

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Particular(Protocol):
    """A part that does not suit every space."""

    def unsupported(self, space: Space) -> str | None:
        """The rule that the space breaks, or None."""


@dataclass(frozen=True, slots=True)
class AlphaTraining:
    """How the logits of the architecture are trained, which begin at N(mean, scale^2) around the relaxation's own
    centre.

    Raises:
        StudyError: a value is out of range.
    """

    lr: float = 3e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 1e-3
    scale: float = 1e-3
    mean: float = 0.0
    clip: float | None = None
    """Largest norm of the gradient over the logits."""
    over: int | None = None
    """Steps that `lr` is meant for: a search of fewer gets a higher rate, so that logits can travel as far, and one of
    more a lower rate. None: the rate is as given."""
    update: LogitUpdate = field(default=AdamSteps(), metadata={"described": "unless default"})
    """The rule of a step; `betas` and `weight_decay` are Adam's."""

    def __post_init__(self) -> None:
        if not (self.lr > 0 and self.weight_decay >= 0 and self.scale >= 0):
            raise StudyError(
                "the architecture's `lr` must be positive, `weight_decay` and `scale` must not be negative, "
                f"but got lr={self.lr}, weight_decay={self.weight_decay}, scale={self.scale}."
            )
        if self.over is not None and self.over < 1:
            raise StudyError(f"the architecture's `over` must be at least 1 step, but got {self.over}.")
        if self.clip is not None and not self.clip > 0:
            raise StudyError(f"the architecture's `clip` must be positive, but got {self.clip}.")

    def at(self, pace: Pace) -> AlphaTraining:
        """The rate for a search of so many steps."""
        if self.over is None or not pace.logit_steps:
            return self
        return replace(self, lr=self.update.rate(self.lr, self.over, pace.logit_steps), over=None)

    def optimizer(self, alpha: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
        """A fresh optimiser; its rate stays constant."""
        return self.update.optimizer(alpha, self)


@dataclass(frozen=True, slots=True)
class Differentiable:
    """Train a supernet's weights and the logits of its operations in turn; hand over the heaviest operations.

    Every paper of the family is a value of this, see `papers`.

    Raises:
        StudyError: two parts do not go together; says by which rule.
    """

    relax: Relaxation = field(default_factory=Softmax)
    schedule: Schedule = field(default_factory=Alternate)
    hypergradient: Hypergradient = field(default_factory=FirstOrder)
    regularise: tuple[Regulariser, ...] = ()
    edges: EdgeSampling = field(default_factory=FullEdges)
    prune: Prune = field(default_factory=Unpruned)
    extras: tuple[Extra, ...] = ()
    stop: EarlyStop = field(default_factory=ToTheEnd)
    discretise: Discretise = field(default_factory=SpaceRule)
    split: DataSplit = field(default_factory=TaskSplit)
    weights: SupernetTraining = field(default_factory=SupernetTraining)
    alphas: AlphaTraining = field(default_factory=AlphaTraining)
    curvature: Lanczos = field(default_factory=Lanczos)
    """How the curvature is found, where `stop` asks for it."""
    adversary: Adversary | None = field(default=None, metadata={"described": "unless default"})
    """Who perturbs the architecture on the weights' turn."""
    halt: OperationStop | None = field(default=None, metadata={"described": "unless default"})
    """Which operations stop learning before the others."""
    settings: Settings = "budget"
    """ "budget": what parts say in steps follows the steps that are affordable; "paper": it stays as it is."""

    def __post_init__(self) -> None:
        if self.settings not in get_args(Settings):
            raise StudyError(f'`settings` must be "budget" or "paper", but got {self.settings!r}.')
        for broken, rule in self._rules():
            if broken:
                raise StudyError(f"these parts do not go together: {rule}")

    def _rules(self) -> Iterable[tuple[bool, str]]:
        """(whether it is broken, the rule with its way out)."""
        relax, joint = type(self.relax).__name__, isinstance(self.schedule, Joint)
        yield (
            isinstance(self.relax, ClippedLinear) and self.alphas.weight_decay > 0,
            f"weight decay pulls the logits of ClippedLinear, which are weights, towards pruning; "
            f"`weight_decay` of the alphas must be 0, but is {self.alphas.weight_decay}.",
        )
        yield (
            self.hypergradient.unrolls and not self.relax.smooth,
            f"a virtual step of the weights is undefined where single paths are executed or drawn; "
            f"{relax} needs FirstOrder.",
        )
        yield (
            self.stop.curved and not self.relax.smooth,
            f"the curvature of the validation loss needs second derivatives, which {relax} does not have; "
            "use Softmax, Sigmoid or ClippedLinear.",
        )
        yield (
            joint != self.hypergradient.joint,
            "the Joint schedule goes with JointGradient, and neither with anything else.",
        )
        yield (
            self.hypergradient.scores and not (self.relax.samples and self.relax.probabilities),
            f"a score function needs a relaxation that draws paths, such as BinaryGate, not {relax}.",
        )
        yield (
            any(part.expects for part in self.regularise) and not self.relax.probabilities,
            f"an expected cost needs weights that are probabilities, and those of {relax} are not.",
        )
        yield (
            any(part.projects for part in self.regularise) and not self.discretise.projects,
            f"proximity and ADMM need a discretisation of fixed cardinalities, not {type(self.discretise).__name__}.",
        )
        yield (
            self.adversary is not None and (joint or self.relax.samples),
            f"an adversary climbs in the weights of all operations on the weights' own turn, not with {relax}"
            f"{' and a Joint schedule' if joint else ''}.",
        )
        yield (
            isinstance(self.hypergradient, LinearCredit) != isinstance(self.relax, ByRank),
            f"least squares say which operation ranks first and nothing more, and draws by rank go by nothing else: "
            f"LinearCredit and ByRank go together, not {type(self.hypergradient).__name__} with {relax}.",
        )
        yield (
            isinstance(self.hypergradient, LinearCredit) != isinstance(self.alphas.update, Assigned),
            "LinearCredit says what the logits are to be: its `update` is Assigned, and that of no other.",
        )
        yield (
            (self.hypergradient.scores or isinstance(self.hypergradient, (LinearCredit, Shapley)))
            and bool(self.regularise),
            "a score function has no loss to regularise, nor has credit; put the cost into a reward (`target`).",
        )
        yield (
            isinstance(self.prune, MoreChannels) and self.edges != PartialChannels(self.prune.divisors[0]),
            "a supernet that is widened begins with a part of its channels: its `edges` are PartialChannels with the "
            "first of the `divisors`.",
        )
        yield (
            isinstance(self.edges, RoutedEdges) and not self._goes_by_routes(),
            "routes need operations whose weights are probabilities and logits that move by gradients alone; no "
            "pruning, credit, adversary, proximity, ADMM or Complexity goes with RoutedEdges, but there are "
            f"{relax}, {type(self.hypergradient).__name__} and {type(self.prune).__name__}.",
        )
        yield (
            self.halt is not None and not isinstance(self.hypergradient, FirstOrder),
            "operations that stop one by one go by the weights' gradients on the architecture's images, which "
            f"FirstOrder leaves, and not {type(self.hypergradient).__name__}.",
        )
        yield (
            self.prune.prunes and any(isinstance(extra, AuxiliarySkip) for extra in self.extras),
            "an auxiliary skip needs its edge's operations unpruned.",
        )

    def _goes_by_routes(self) -> bool:
        by_gradients = isinstance(self.hypergradient, FirstOrder | Unrolled | JointGradient)
        beside = self.prune.prunes or self.adversary is not None
        per_edge = any(part.projects or isinstance(part, Complexity) for part in self.regularise)
        return self.relax.probabilities and by_gradients and not (beside or per_edge)

    def at(self, epochs: int, batches: int) -> Differentiable:
        """The search with its parts at the pace of so many epochs of so many minibatches."""
        if self.settings == "paper":
            return self
        pace = Pace(epochs, batches)
        schedule = paced(self.schedule, pace)
        pace = replace(pace, logit_steps=replace(self, schedule=schedule).logit_steps(epochs, batches))
        return replace(
            self,
            schedule=schedule,
            alphas=self.alphas.at(pace),
            stop=paced(self.stop, pace),
            regularise=tuple(paced(part, pace) for part in self.regularise),
        )

    def logit_steps(self, epochs: int, batches: int) -> float:
        """About how many steps of the logits a search of so many epochs of so many minibatches has."""
        if self.hypergradient.joint:
            return epochs * batches
        steps, epoch = 0.0, 0
        while epoch < epochs:  # a schedule begins anew with every stage
            stage = stage_of(self.prune, epoch, epochs)
            steps += self.schedule.alpha_steps(batches, stage.length)
            epoch += stage.length
        return steps

    def form(self, stage: int = 0) -> Form:
        """Form in which the supernet of a stage is built."""
        forming = (part for part in self.extras if isinstance(part, Forming))
        form = reduce(lambda so_far, part: part.form(so_far), forming, self.edges.form(PLAIN))
        cells = self.prune.cells(stage) if isinstance(self.prune, Staged) else None
        if isinstance(self.prune, MoreChannels):
            form = replace(form, partial=self.prune.divisor(stage))
        return form if cells is None else replace(form, cells=cells)

    def unsupported(self, scenario: Scenario) -> str | None:
        timed = any(getattr(part, "of", None) == "latency_ms" for part in (*self.regularise, self.hypergradient))
        if timed and scenario.latency is None:
            return "it weighs latencies, and the problem declares none; give it a `latency`."
        return self.weights.unsupported(scenario) or self._unfit(scenario)

    def _unfit(self, scenario: Scenario) -> str | None:
        space, topology = scenario.space, scenario.space.wiring
        if topology is None:
            return f"it needs the same options on every decision, taken every time, and those of `{space.name}` differ."
        if space.reads != "images" and any(isinstance(extra, Viewing) for extra in self.extras):
            return f"it cuts squares out of images, and the networks of `{space.name}` read {space.reads}."
        lacks = [name for name in self.form().changed if name not in topology.forms]
        if lacks:
            return f"the supernet of `{space.name}` has no form with {', '.join(lacks)}."
        for part in (self.discretise, self.edges, self.prune, self.halt):
            reason = part.unsupported(space) if isinstance(part, Particular) else None
            if reason is not None:
                return reason
        return None

    def foretold(self, lab: Lab) -> str:
        from searchbench.strategies.differentiable.engine import DifferentiableSearch

        return DifferentiableSearch(self, lab.scenario).foretold(lab)

    def start(self, scenario: Scenario) -> TrainingSearch:
        from searchbench.strategies.differentiable.engine import DifferentiableSearch

        return DifferentiableSearch(self, scenario)
