"""Single-path search: thresholds against the norms of a kernel's parts decide, in one training of one path."""

from __future__ import annotations

from dataclasses import dataclass, field

from searchbench.errors import StudyError
from searchbench.strategies.strategy import Scenario, TrainingSearch
from searchbench.strategies.supernet import SupernetTraining


@dataclass(frozen=True, slots=True)
class SinglePath:
    """Train the largest kernels, masked; each part of a kernel has a threshold, which learns with the weights.

    g(w, t) = 1(||w|| >= t), with the gradient of sigmoid(||w|| - t);  w_5 the ring of 5x5 around 3x3
    w_k = w_3 + g(w_5, t_5) w_5;  w_ke = g(w_k[:3], t_3) (w_k[:3] + g(w_k[3:6], t_6) w_k[3:6])  over channels
    L = cross-entropy + `cost` log(E / E_0),  E the cost of what the gates leave, E_0 that of everything

    where w[:3] are the channels of expansion 3 and w[3:6] those beyond; g(w_k[:3], t_3) = 0 leaves the layer out, where
    it may be left out.

    Args:
        weights: how they are trained.
        cost: weight of the cost's logarithm.
        threshold_lr: Adam's rate for thresholds, which begin at 0; None: so that in the steps there are they can travel
            twice the largest norm at the beginning.
        of: what the cost is: "macs", or "latency_ms" of the problem's latency.

    Raises:
        StudyError: a value is out of range.

    Source: Stamoulis et al. 2019, "Single-Path NAS: designing hardware-efficient ConvNets in less than 4 hours",
        section 3, and its code (the norm itself and not its square; thresholds from 0).
    Differs: weights learn by SGD as those of other supernets do, thresholds by an Adam of their own; nothing is dropped
        out of the gates; the cost is relative to that of everything, so that its weight has the same meaning in every
        space; of the architectures at the ends of epochs the last one is handed over.
    """

    weights: SupernetTraining = field(default_factory=SupernetTraining)
    cost: float = 0.1
    threshold_lr: float | None = None
    of: str = "macs"

    def __post_init__(self) -> None:
        if self.cost < 0 or (self.threshold_lr is not None and self.threshold_lr <= 0):
            raise StudyError(
                "`cost` must not be negative and `threshold_lr` must be positive, "
                f"but got cost={self.cost}, threshold_lr={self.threshold_lr}."
            )
        if self.of not in ("macs", "latency_ms"):
            raise StudyError(f'`of` must be "macs" or "latency_ms", but got {self.of!r}.')

    def unsupported(self, scenario: Scenario) -> str | None:
        if not scenario.space.settings.get("superkernels"):
            return (
                f"it masks kernels that all options of a layer are cut from, and `{scenario.space.name}` has none; "
                "see `mobile-superkernel`."
            )
        if self.of == "latency_ms" and scenario.latency is None:
            return "it weighs latencies, and the problem declares none; give it a `latency`."
        return self.weights.unsupported(scenario)

    def start(self, scenario: Scenario) -> TrainingSearch:
        from searchbench.strategies.oneshot.superkernel_search import SinglePathSearch

        return SinglePathSearch(self, scenario)


def single_path(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    cost: float = 0.1,
    threshold_lr: float | None = None,
    of: str = "macs",
) -> SinglePath:
    """Single-Path NAS, see `SinglePath`.

    Args:
        epochs: None: as many as the budget affords.
        batch_size: of the training.
        lr: of the weights, at first; falls to 0.001 along a cosine.
        cost, threshold_lr, of: see `SinglePath`.

    Raises:
        StudyError: a value is out of range.

    Source: Stamoulis et al. 2019, "Single-Path NAS".
    Differs: as `SinglePath`.
    """
    weights = SupernetTraining(epochs=epochs, batch_size=batch_size, lr=lr, lr_final=min(lr, 0.001))
    return SinglePath(weights, cost, threshold_lr, of)
