"""Searches by a recurrent controller: REINFORCE with stale replicas (Zoph & Le 2017) and PPO (NASNet)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.reinforce import too_many_values
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial

if TYPE_CHECKING:
    import torch

    from searchbench.strategies.anchored_controllers import AnchoredController
    from searchbench.strategies.controllers import Controller

    AnyController = Controller | AnchoredController


class Sampled(NamedTuple):
    """An architecture, with what is needed to learn from it."""

    architecture: Architecture
    log_probability: float
    """Under the parameters it was drawn with."""
    replica: int
    """Number of the copy of the parameters that drew it, in order of their first draws."""
    advantage: float = 0.0


class Learning(Protocol):
    """How a batch of results changes the controller."""

    @property
    def passes(self) -> int:
        """Steps of the optimiser per batch."""

    @property
    def reweighs(self) -> bool:
        """Whether it corrects for the parameters a batch was drawn with, so that its gradient is taken at the shared
        ones; else it is taken at the copy that drew."""

    def loss(self, controller: AnyController, batch: Sequence[Sampled], entropy: float) -> torch.Tensor:
        """What is descended; its gradient is taken in the controller's parameters."""


@dataclass(frozen=True, slots=True)
class PolicyGradientLoss:
    """-(1/m) sum_k (R_k - b) log P(a_k) - entropy x mean H."""

    passes: int = 1
    reweighs = False

    def loss(self, controller: AnyController, batch: Sequence[Sampled], entropy: float) -> torch.Tensor:
        import torch

        logs, entropies = controller.score([s.architecture for s in batch])
        advantages = torch.tensor([s.advantage for s in batch])
        return -(advantages * logs).mean() - entropy * entropies.mean()


@dataclass(frozen=True, slots=True)
class ClippedSurrogate:
    """-mean min(rho A, clip(rho, 1 - clip, 1 + clip) A) - entropy x mean H, rho = P(a) / P_old(a); several passes over
    the same batch (Schulman et al. 2017)."""

    clip: float = 0.2
    passes: int = 4
    reweighs = True

    def __post_init__(self) -> None:
        if not (self.clip > 0 and self.passes >= 1):
            raise StudyError(f"`clip` must be positive and `passes` at least 1, but got {self.clip}, {self.passes}.")

    def loss(self, controller: AnyController, batch: Sequence[Sampled], entropy: float) -> torch.Tensor:
        import torch

        logs, entropies = controller.score([s.architecture for s in batch])
        advantages = torch.tensor([s.advantage for s in batch])
        ratio = (logs - torch.tensor([s.log_probability for s in batch])).exp()
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        return -torch.minimum(ratio * advantages, clipped * advantages).mean() - entropy * entropies.mean()


@dataclass(frozen=True, slots=True)
class Controlled:
    """An LSTM makes one decision after the other; after every `batch` results its parameters follow the policy
    gradient by Adam.

    R = (1 - value)^power;  A_k = R_k - b;  b <- decay b + (1 - decay) mean R, from earlier batches only (the first
    batch takes its own mean)

    With K `replicas`, batches are drawn in turn from K copies of the parameters, each as old as that replica's last
    update; its gradient, taken at the copy, moves the shared parameters, of which it then takes a fresh copy. A batch
    is of one copy, in whatever order its results arrive; where more are under way than K batches hold, further ones
    are drawn from fresh copies.

    Args:
        units, layers, bound: of the controller, and of the uniform draw of its parameters.
        learning_rate: of Adam.
        batch: results per update.
        entropy: weight of the entropy bonus.
        decay: of the baseline.
        power: to which rewards are raised.
        learning: `PolicyGradientLoss()` or `ClippedSurrogate()`.
        replicas: copies of the parameters.
        anchors: whether skip connections are drawn at anchor points, where the space has layers with skips.

    Raises:
        StudyError: a value is out of range.

    Source: Zoph & Le 2017; Zoph et al. 2018; Schulman et al. 2017.
    Differs: one softmax per decision of any space, skip connections without `anchors` among them; what failed is drawn
        again from the same copy.
    """

    units: int = 100
    layers: int = 1
    bound: float = 0.1
    learning_rate: float = 3.5e-4
    batch: int = 20
    entropy: float = 1e-5
    decay: float = 0.95
    power: int = 1
    learning: Learning = field(default_factory=ClippedSurrogate)
    replicas: int = 1
    anchors: bool = False

    def __post_init__(self) -> None:
        for name in ("units", "layers", "batch", "replicas", "power"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise StudyError(f"`{name}` must be a positive integer, but got {value!r}.")
        for name in ("bound", "learning_rate"):
            if not getattr(self, name) > 0:
                raise StudyError(f"`{name}` must be positive, but got {getattr(self, name)!r}.")
        if not 0 <= self.decay < 1:
            raise StudyError(f"`decay` must lie in [0, 1), but got {self.decay!r}.")
        if not self.entropy >= 0:
            raise StudyError(f"`entropy` must not be negative, but got {self.entropy!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        return too_many_values(scenario)

    def start(self, scenario: Scenario) -> ControllerSearch:
        return ControllerSearch(self, scenario)


def ppo(
    batch: int = 20,
    learning_rate: float = 3.5e-4,
    entropy: float = 1e-5,
    units: int = 100,
    clip: float = 0.2,
    passes: int = 4,
) -> Controlled:
    """The controller of NASNet: one LSTM layer of 100 units, proximal policy optimisation, batches of 20.

    Source: Zoph et al. 2018, "Learning Transferable Architectures", appendix; Schulman et al. 2017.
    Differs: clip and passes are not published; 0.2 and 4 are Schulman's. As `Controlled`.
    """
    return Controlled(
        units=units, batch=batch, learning_rate=learning_rate, entropy=entropy, learning=ClippedSurrogate(clip, passes)
    )


def lstm_reinforce(
    batch: int = 8,
    learning_rate: float = 6e-4,
    replicas: int = 1,
    decay: float = 0.95,
    power: int = 3,
    anchors: bool = True,
) -> Controlled:
    """The controller of the first neural architecture search: two LSTM layers of 35 units, REINFORCE with a moving
    baseline, cubed accuracy as reward, skip connections by anchor points; `replicas` = 100 and `batch` = 8 are the
    paper's.

    Source: Zoph & Le 2017, sections 3 and 4.1.
    Differs: the decay of the baseline is not published. As `Controlled`.
    """
    return Controlled(
        units=35,
        layers=2,
        bound=0.08,
        learning_rate=learning_rate,
        batch=batch,
        entropy=0.0,
        decay=decay,
        power=power,
        learning=PolicyGradientLoss(),
        replicas=replicas,
        anchors=anchors,
    )


def _controller(settings: Controlled, space: Space, seed: int) -> AnyController:
    from searchbench.strategies.anchored_controllers import AnchoredController, layers_of
    from searchbench.strategies.controllers import Controller

    kind = AnchoredController if settings.anchors and layers_of(space) else Controller
    return kind(space, settings.units, settings.layers, settings.bound, seed)


Parameters = list["torch.Tensor"]


class ControlledBatch:
    """What one copy of the parameters draws, and the results that have come back."""

    def __init__(self, number: int, size: int, copy: Parameters) -> None:
        self.number, self._size, self.copy = number, size, copy
        self.awaited = 0
        self.told: list[tuple[Sampled, float]] = []
        """With the reward of each."""

    @property
    def room(self) -> bool:
        """Whether more is to be drawn for it."""
        return len(self.told) + self.awaited < self._size

    @property
    def complete(self) -> bool:
        return len(self.told) == self._size


class ControllerSearch:
    """The live search. Any number of proposals may be under way at a time."""

    def __init__(self, settings: Controlled, scenario: Scenario) -> None:
        import torch

        from searchbench.strategies.controller_adam import ControllerAdam

        self._settings = settings
        seed = scenario.seeds.torch_seed("policy")
        self.controller = _controller(settings, scenario.space, seed)
        self._stale = _controller(settings, scenario.space, seed)
        """Holds the copy that draws next."""
        self._generator = torch.Generator().manual_seed(scenario.seeds.torch_seed("search"))
        self._adam = ControllerAdam(self.controller.parameters(), settings.learning_rate)
        self._idle = deque(self._fresh_copy() for _ in range(settings.replicas))
        """Copies of the replicas that have no batch."""
        self._open: list[ControlledBatch] = []
        self._begun = 0
        self._drawing = self._begin()
        self._asked: UnderWay[tuple[ControlledBatch, Sampled]] = UnderWay()
        self.baseline: float | None = None

    def ask(self) -> Proposal:
        if not self._drawing.room:
            self._draw_from(next((batch for batch in self._open if batch.room), None) or self._begin())
        architecture, log_probability = self._stale.sample(self._generator)
        self._drawing.awaited += 1
        note = (self._drawing, Sampled(architecture, log_probability, self._drawing.number))
        return self._asked.add(Proposal(architecture), note)

    def tell(self, trial: Trial) -> None:
        note = self._asked.take(trial)
        assert note is not None, "a controller learns from what it drew"
        batch, sampled = note
        batch.awaited -= 1
        if not trial.failed:
            batch.told.append((sampled, (1.0 - trial.value) ** self._settings.power))
        if batch.complete:
            self._learn(batch)

    def _learn(self, batch: ControlledBatch) -> None:
        mean = sum(reward for _, reward in batch.told) / len(batch.told)
        baseline = mean if self.baseline is None else self.baseline
        drawn = [sampled._replace(advantage=reward - baseline) for sampled, reward in batch.told]
        self._draw_from(batch)  # its gradient is taken where it was drawn
        for _ in range(self._settings.learning.passes):
            self._descend(drawn)
        self.baseline = self._settings.decay * baseline + (1 - self._settings.decay) * mean
        self._open.remove(batch)
        if len(self._open) + len(self._idle) < self._settings.replicas:
            self._idle.append(self._fresh_copy())
        self._draw_from(next((other for other in self._open if other.room), None) or self._begin())

    def _descend(self, batch: list[Sampled]) -> None:
        import torch

        at = self.controller if self._settings.learning.reweighs else self._stale
        loss = self._settings.learning.loss(at, batch, self._settings.entropy)
        # an inactive decision's head may have no part in the loss
        self._adam.step(torch.autograd.grad(loss, list(at.parameters()), allow_unused=True))

    def _begin(self) -> ControlledBatch:
        """The next batch, of the replica that has waited longest, or of a fresh copy where all are busy."""
        copy = self._idle.popleft() if self._idle else self._fresh_copy()
        batch = ControlledBatch(self._begun, self._settings.batch, copy)
        self._begun += 1
        self._open.append(batch)
        return batch

    def _draw_from(self, batch: ControlledBatch) -> None:
        import torch

        self._drawing = batch
        with torch.no_grad():
            for parameter, value in zip(self._stale.parameters(), batch.copy, strict=True):
                parameter.copy_(value)

    def _fresh_copy(self) -> Parameters:
        return [parameter.detach().clone() for parameter in self.controller.parameters()]
