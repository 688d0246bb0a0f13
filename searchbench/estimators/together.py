"""Training many networks at once in one graph, each exactly as `training.fit` trains it.

Small networks on small images spend their time in the overhead of calls. A stack of them (`spaces.nasbench201.stacks`)
makes the calls once for all; losses are summed, so that every network gets its own gradient, and its weights, momentum
and samples are those it would have had alone. Results agree up to the order in which numbers are summed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import EvaluationFailed
from searchbench.estimators.batches import WHOLE, Batches, Share
from searchbench.estimators.training import Training, learning_rate, order_seed, reproducible, train_pass
from searchbench.spaces.nasbench201.stacks import Stacks, stacked_tensors
from searchbench.tasks.task import Batch

AT_ONCE = {"cpu": 16, "cuda": 512}
"""Networks in one stack: on a CPU so few that their activations stay in cache, on a GPU enough to fill it."""
INFERENCE_BATCH = 64


def fit_together(
    trainings: Sequence[Training],
    builder: Stacks,
    batches: Batches,
    epochs: int,
    *,
    share: Share = WHOLE,
    measure_on: Batches | None = None,
    deadline: float | None = None,
    at_once: int | None = None,
) -> list[EvaluationFailed | None]:
    """Train all of them until `epochs` are finished: `training.fit` for many.

    Args:
        trainings: of networks from one builder, of one shape and recipe, with equally many epochs finished.
        builder: what built them.
        batches, epochs, share, measure_on, deadline: see `training.fit`.
        at_once: networks in one stack; None chooses by device.

    Returns:
        How each failed, None for those that did not. A network that diverges does not touch the others.
    """
    size = at_once or AT_ONCE[batches.targets.device.type]
    failures: list[EvaluationFailed | None] = []
    for start in range(0, len(trainings), size):
        together = Together(trainings[start : start + size], builder)
        together.fit(batches, epochs, share=share, measure_on=measure_on, deadline=deadline)
        together.unstack()
        failures += together.failures
    return failures


@dataclass(frozen=True, slots=True)
class _Loss:
    """Cross-entropy of each network; counts what is classified wrongly on the way."""

    smoothing: float
    wrong: Tensor

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        count, samples, _ = logits.shape
        wanted = targets.expand(count, samples)
        self.wrong.add_((logits.detach().argmax(2) != wanted).sum(1))
        flat, labels = logits.flatten(0, 1), wanted.reshape(-1)
        losses = F.cross_entropy(flat, labels, reduction="none", label_smoothing=self.smoothing)
        return losses.view(count, samples).mean(1)


class Together:
    """Trainings of one stack in progress. The networks themselves stay behind until `unstack`.

    Args:
        trainings: see `fit_together`.
        builder: what built their networks.

    Raises:
        ValueError: the trainings differ in recipe or in epochs finished.
    """

    def __init__(self, trainings: Sequence[Training], builder: Stacks) -> None:
        if len({(training.recipe, training.epochs) for training in trainings}) != 1:
            raise ValueError("trainings in one stack must have one recipe and equally many epochs finished.")
        self.trainings = trainings
        self.failures: list[EvaluationFailed | None] = [None] * len(trainings)
        self.train_errors: list[list[float]] = [[] for _ in trainings]
        """Of each network, per epoch: share of samples misclassified in training, each before its step."""
        self.recipe, self.epochs = trainings[0].recipe, trainings[0].epochs
        self.stack = builder.stack([training.network for training in trainings])
        self._optimizer = torch.optim.SGD(
            self.stack.parameters(),
            lr=self.recipe.lr,
            momentum=self.recipe.momentum,
            nesterov=self.recipe.nesterov,
            weight_decay=self.recipe.weight_decay,
            fused=True,
        )
        self._take_momenta()

    def fit(
        self,
        batches: Batches,
        epochs: int,
        *,
        share: Share = WHOLE,
        measure_on: Batches | None = None,
        deadline: float | None = None,
    ) -> None:
        """Train until `epochs` are finished; losses and errors are entered in the trainings. See `training.fit`."""
        with reproducible(batches.targets.device):
            while self.epochs < epochs and any(failure is None for failure in self.failures):
                try:
                    self._train_epoch(batches, share, deadline)
                except EvaluationFailed as failure:
                    self.failures = [earlier or failure for earlier in self.failures]
                    return
                if measure_on is not None:
                    self._enter_errors(self.error_rates(measure_on))

    def error_rates(self, batches: Batches, batch_size: int = INFERENCE_BATCH) -> list[float]:
        """Share of samples that each network misclassifies in evaluation mode; NaN where a logit is not finite."""
        self.stack.eval()
        wrong: Tensor | int = 0
        finite: Tensor | bool = True
        with torch.inference_mode():
            for batch in batches.in_order(batch_size):
                logits = self.stack(batch.inputs[None])
                wrong = wrong + (logits.argmax(2) != batch.targets).sum(1)
                finite = finite & logits.isfinite().all(2).all(1)
        assert isinstance(wrong, Tensor)
        assert isinstance(finite, Tensor)
        return torch.where(finite, wrong.double() / len(batches), math.nan).tolist()

    def unstack(self) -> None:
        """Give every network its weights and statistics, and its optimiser its momenta, so that `fit` can go on."""
        with torch.no_grad():
            for stacked in stacked_tensors(self.stack):
                momenta = self._optimizer.state.get(stacked.value, {}).get("momentum_buffer")
                for at, part in enumerate(stacked.parts):
                    part.of(part.tensor).copy_(stacked.value[at])
                    if momenta is not None:
                        part.of(self._momentum(part.network, part.tensor)).copy_(momenta[at])

    def _train_epoch(self, batches: Batches, share: Share, deadline: float | None) -> None:
        recipe, epoch = self.recipe, self.epochs
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(recipe, epoch)
        self.stack.train()
        device = batches.targets.device
        loss = _Loss(recipe.label_smoothing, torch.zeros(len(self.trainings), dtype=torch.int64, device=device))
        passed = self._batches(batches, share)
        name = f"epoch {epoch + 1} of {recipe.epochs}"
        losses = train_pass(self.stack, self._optimizer, passed, loss, self._step, deadline, name).tolist()
        wrong, seen = loss.wrong.tolist(), batches.count(recipe.batch_size, share)
        self.epochs += 1
        for at, training in enumerate(self.trainings):
            if self.failures[at] is None and math.isfinite(losses[at]):
                training.losses.append(losses[at])
                self.train_errors[at].append(wrong[at] / seen)
            else:
                told = f"the training loss of epoch {epoch + 1} became {losses[at]}."
                self.failures[at] = self.failures[at] or EvaluationFailed("nan", told)

    def _enter_errors(self, errors: Sequence[float]) -> None:
        for at, error in enumerate(errors):
            if self.failures[at] is None and math.isnan(error):
                self.failures[at] = EvaluationFailed("nan", "the network's output is not finite.")
            elif self.failures[at] is None:
                self.trainings[at].errors.append(error)

    def _batches(self, batches: Batches, share: Share) -> Iterator[Batch]:
        """Every network's own next minibatch: inputs [G, B, …] and targets [G, B]; one for all if they share a seed."""
        seeds = [training.seed for training in self.trainings]
        distinct = list(dict.fromkeys(seeds))
        orders = [
            batches.epoch(self.recipe.batch_size, order_seed(seed, self.epochs), share, self.recipe.augment)
            for seed in distinct
        ]
        which = [distinct.index(seed) for seed in seeds] if len(distinct) > 1 else [0]
        for parts in zip(*orders, strict=True):
            chosen = [parts[at] for at in which]
            yield Batch(torch.stack([b.inputs for b in chosen]), torch.stack([b.targets for b in chosen]))

    def _step(self) -> None:
        if self.recipe.clip is not None:
            self._clip(self.recipe.clip)
        self._optimizer.step()

    def _clip(self, largest: float) -> None:
        """Clip every network's own gradient, as `nn.utils.clip_grad_norm_` does."""
        gradients = [(t.value.grad, t.owners) for t in stacked_tensors(self.stack) if t.value.grad is not None]
        squares = gradients[0][0].new_zeros(len(self.trainings))
        for gradient, owners in gradients:
            squares.index_add_(0, owners, gradient.flatten(1).square().sum(1))
        factors = (largest / (squares.sqrt() + 1e-6)).clamp(max=1.0)
        for gradient, owners in gradients:
            gradient.mul_(factors[owners].view(-1, *[1] * (gradient.ndim - 1)))

    def _take_momenta(self) -> None:
        """Continue with the momenta of trainings that are under way."""
        if self.epochs == 0:
            return
        for stacked in stacked_tensors(self.stack):
            if isinstance(stacked.value, nn.Parameter):
                momenta = [part.of(self._momentum(part.network, part.tensor)) for part in stacked.parts]
                self._optimizer.state[stacked.value]["momentum_buffer"] = torch.stack(momenta)

    def _momentum(self, network: int, parameter: Tensor) -> Tensor:
        state: dict[str, Any] = self.trainings[network].optimizer.state[parameter]
        if state.get("momentum_buffer") is None:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        return buffer
