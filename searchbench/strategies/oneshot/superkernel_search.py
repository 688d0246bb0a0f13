"""The loop of single-path search: one training of masked kernels and their thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.cost import Cost
from searchbench.estimators.training import update
from searchbench.spaces.layers.elastic import elastic, gated
from searchbench.spaces.networks import Mixed, Path, Supernet
from searchbench.strategies.noted import Noted
from searchbench.strategies.oneshot.superkernels import SinglePath
from searchbench.strategies.strategy import Lab, Scenario
from searchbench.strategies.supernet import epochs_within
from searchbench.strategies.supernet_session import SupernetSession

SLOWEST, FASTEST = 1e-3, 0.1
"""Bounds of the thresholds' rate where it follows the budget."""


@dataclass(slots=True, eq=False)
class Masked:
    """The supernet, its thresholds, and what trains each."""

    supernet: Supernet
    weights: torch.optim.Optimizer
    thresholds: list[Tensor]
    """Per layer, those of the kernel's rings and of the bands of channels."""
    adam: torch.optim.Optimizer

    @property
    def mixture(self) -> Mixed:
        """What the gates leave, as weights of options: of zeros and ones."""
        return gated(self.supernet, self.thresholds)

    def path(self) -> Path:
        """The options that the gates leave."""
        with torch.no_grad():
            return tuple(int(row.argmax()) for row in self.mixture.weights)

    def state_dict(self) -> dict[str, Any]:
        return {
            "supernet": cast(nn.Module, self.supernet).state_dict(),
            "weights": self.weights.state_dict(),
            "thresholds": [row.detach().clone() for row in self.thresholds],
            "adam": self.adam.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        cast(nn.Module, self.supernet).load_state_dict(state["supernet"])
        self.weights.load_state_dict(state["weights"])
        with torch.no_grad():
            for row, value in zip(self.thresholds, state["thresholds"], strict=True):
                row.copy_(value)
        self.adam.load_state_dict(state["adam"])


class SinglePathSearch:
    """The live search. A slice is an epoch."""

    def __init__(self, settings: SinglePath, scenario: Scenario) -> None:
        self._settings, self._scenario = settings, scenario
        self._session = SupernetSession(settings.weights.epochs, self._new, self._affordable)
        self._costs: tuple[float, list[Tensor]] | None = None

    @property
    def done(self) -> bool:
        return self._session.over

    def advance(self, lab: Lab) -> None:
        """An epoch; what the gates leave at its end is recommended."""
        masked = self._session.begin(lab)
        noted = self._train(lab, masked)
        self._session.epoch += 1
        architecture = masked.supernet.architecture(masked.path())
        lab.recommend(architecture)
        share = float(self._cost(masked.supernet, masked.mixture).detach())
        lab.log(epoch=self._session.epoch, **noted.means("train"), cost_share=share)

    def leaves(self, lab: Lab) -> Supernet:
        """The supernet, as it was trained."""
        return self._session.begin(lab).supernet

    def state_dict(self) -> dict[str, Any]:
        return {"session": self._session.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._session.load_state_dict(state["session"])

    def _new(self, lab: Lab) -> Masked:
        supernet = lab.supernet()
        device = next(cast(nn.Module, supernet).parameters()).device
        thresholds = [torch.zeros(layer.thresholds, device=device, requires_grad=True) for layer in elastic(supernet)]
        weights = self._settings.weights.optimizer(cast(nn.Module, supernet).parameters())
        return Masked(supernet, weights, thresholds, torch.optim.Adam(thresholds, lr=self._rate(lab, supernet)))

    def _rate(self, lab: Lab, supernet: Supernet) -> float:
        """The thresholds' rate: Adam moves by about as much a step."""
        if self._settings.threshold_lr is not None:
            return self._settings.threshold_lr
        steps = self._epochs(lab, supernet) * len(lab.sizes("train", self._settings.weights.batch_size))
        largest = max(float(layer.depthwise.weight.detach().norm()) for layer in elastic(supernet))
        return min(max(SLOWEST, 2 * largest / steps), FASTEST)

    def _epochs(self, lab: Lab, supernet: Supernet) -> int:
        if self._settings.weights.epochs is not None:
            return self._settings.weights.epochs
        train = sum(lab.sizes("train", self._settings.weights.batch_size))
        whole: Cost = lab.price(supernet, _everything(supernet), train=train)
        return epochs_within(lab, whole)

    def _affordable(self, lab: Lab, masked: Masked) -> int:
        return self._epochs(lab, masked.supernet)

    def _train(self, lab: Lab, masked: Masked) -> Noted:
        settings, noted = self._settings.weights, Noted(self._scenario.space.reads)
        settings.set_rate(masked.weights, self._session.epoch, self._session.length)
        for batch in lab.batches("train", settings.batch_size):
            mixture = masked.mixture

            def loss(logits: Tensor, targets: Tensor, mixture: Mixed = mixture) -> Tensor:
                cost = self._cost(masked.supernet, mixture).log()
                return F.cross_entropy(logits, targets) + self._settings.cost * cost

            masked.weights.zero_grad(set_to_none=True)
            masked.adam.zero_grad(set_to_none=True)
            noted.losses.append(lab.gradients(masked.supernet, batch, mixture, noted.watching(loss)))
            update(masked.weights, settings.clip, batch.rate)
            masked.adam.step()
        return noted

    def _cost(self, supernet: Supernet, mixture: Mixed) -> Tensor:
        """E / E_0, the cost of what the weights of options leave by that of everything."""
        fixed, parts = self._priced(supernet)
        whole = fixed + sum(float(row.max()) for row in parts)
        terms = [row.to(own) @ own for row, own in zip(parts, mixture.weights, strict=True)]
        return (fixed + torch.stack(terms).sum()) / whole

    def _priced(self, supernet: Supernet) -> tuple[float, list[Tensor]]:
        """(the cost of what is fixed, per layer that of each option)."""
        if self._costs is None:
            whole = tuple(options - 1 for options in supernet.options)
            of = self._price(supernet)
            rows = []
            for at, options in enumerate(supernet.options):
                changed = [of((*whole[:at], option, *whole[at + 1 :])) for option in range(options)]
                rows.append(torch.tensor(changed) - of(whole))
            # relative to one path, of which the layers cost what the least of them leaves at zero
            lowest = [float(row.min()) for row in rows]
            self._costs = of(whole) + sum(lowest), [row - least for row, least in zip(rows, lowest, strict=True)]
        return self._costs

    def _price(self, supernet: Supernet) -> Callable[[Path], float]:
        latency = self._scenario.latency
        if self._settings.of == "latency_ms" and latency is not None:
            return lambda path: latency(supernet.architecture(path))
        return lambda path: float(supernet.macs(path))


def _everything(supernet: Supernet) -> Mixed:
    return Mixed([torch.ones(options) for options in supernet.options])
