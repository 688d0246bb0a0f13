"""The one training loop of the package, in parts small enough to be used one by one.

`fit` trains a network by a recipe; `accumulate` and `update` are the two halves of one step of it, which the lab meters
for searches that train a supernet. The only other place of `backward` is the hypergradients.

Everything random is a function of one seed: `weights_seed` and `order_seed` say which part of it is for what, so that
whatever trains several networks at once in one graph can start from the same weights and see the same samples.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed, SearchbenchError, StudyError
from searchbench.estimators.batches import WHOLE, Batches, Share
from searchbench.estimators.passages import Passages
from searchbench.estimators.recipes import DEVICES
from searchbench.estimators.watch import Watch
from searchbench.seeds import derive
from searchbench.spaces.networks import Regularised, Wired
from searchbench.tasks.task import Batch, Recipe

Model = Callable[[Any], Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
Result = TypeVar("Result")

INFERENCE_BATCH = 256
"""Samples per forward pass when measuring. On one CPU thread and 8x8 images 256 is a third faster than 512 or 64."""


# -- one step ------------------------------------------------------------------------------------------------------


def accumulate(model: Model, inputs: Any, targets: Tensor, loss: Loss = F.cross_entropy) -> float:
    """Forward and backward: add to the gradients of all that requires them.

    Args:
        model: inputs -> logits [B, classes].
        inputs: of a minibatch.
        targets: [B].
        loss: (logits, targets) -> scalar.

    Returns:
        The loss.

    Raises:
        EvaluationFailed: "nan", the loss is not finite.
    """
    value = float(_accumulate(model, inputs, targets, loss))
    _require_finite(value, "the training loss")
    return value


def _accumulate(
    model: Callable[[Tensor], Any], inputs: Tensor, targets: Tensor, loss: Callable[[Any, Tensor], Tensor]
) -> Tensor:
    """The loss may be a vector, of networks that share no weight: the gradient of its sum is that of each.

    What a network adds to its loss while it reads a passage of text is descended too, but not reported.
    """
    value = loss(model(inputs), targets)
    penalty = getattr(inputs, "penalty", None)
    total = value if penalty is None else value + penalty
    total.sum().backward()
    return value.detach()


def hessian(
    model: Model, inputs: Any, targets: Tensor, of: Tensor, loss: Loss = F.cross_entropy
) -> Callable[[Tensor], Tensor]:
    """v -> H v, exactly, H the Hessian of the loss in a tensor; v and H v have its shape.

    One pass forward and one backward, whose graph each product goes back through. What the model adds to its loss
    while it reads a passage of text counts.

    Raises:
        EvaluationFailed: "nan", the gradient is not finite.
    """
    value = loss(model(inputs), targets)
    penalty = getattr(inputs, "penalty", None)
    (gradient,) = torch.autograd.grad(value if penalty is None else value + penalty, of, create_graph=True)
    _require_finite(float(gradient.detach().abs().sum()), "the gradient whose own gradient is taken")

    def product(direction: Tensor) -> Tensor:
        return torch.autograd.grad(gradient, of, direction, retain_graph=True)[0]

    return product


def update(optimizer: torch.optim.Optimizer, clip: float | None = None, rate: float = 1.0) -> None:
    """One step of the optimiser, after clipping the norm of the gradient over all its parameters to `clip`.

    `rate` multiplies the learning rate of this step.
    """
    if clip is not None:
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip)
    with scaled_rate(optimizer, rate):
        optimizer.step()


@contextmanager
def scaled_rate(optimizer: torch.optim.Optimizer, factor: float) -> Iterator[None]:
    """Multiply the learning rate by `factor` for a while; afterwards it is what it was, whatever happened inside."""
    rates = [group["lr"] for group in optimizer.param_groups]
    if factor != 1.0:
        for group in optimizer.param_groups:
            group["lr"] *= factor
    try:
        yield
    finally:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


# -- a whole training ----------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Training:
    """A training in progress; `fit` continues it exactly where it stands."""

    network: nn.Module
    recipe: Recipe
    """`recipe.epochs` is the length of the learning-rate schedule, however few of them are trained."""
    seed: int
    optimizer: torch.optim.Optimizer
    losses: list[float] = field(default_factory=list)
    """Mean training loss of each finished epoch."""
    errors: list[float] = field(default_factory=list)
    """Error after each finished epoch, where `fit` was given something to measure on."""
    seconds: float = 0.0
    """Spent on it by processes that were interrupted."""
    watch: Watch = field(init=False)
    """What the recipe makes of these errors."""

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.watch = Watch(self.network, self.optimizer, recipe.average_after, recipe.keep_best)

    @property
    def epochs(self) -> int:
        """Epochs finished."""
        return len(self.losses)

    @property
    def error(self) -> float:
        """The last error, or the least where the recipe keeps the best epoch."""
        return min(self.errors) if self.recipe.keep_best else self.errors[-1]

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on after an epoch, in another process too."""
        return {
            "seed": self.seed,
            "losses": list(self.losses),
            "errors": list(self.errors),
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "watch": self.watch.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`'s result, of a training of the same network by the same recipe and seed."""
        self.losses, self.errors, self.seconds = list(state["losses"]), list(state["errors"]), state["seconds"]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.watch.load_state_dict(state["watch"])


def begin(network: nn.Module, recipe: Recipe, seed: int) -> Training:
    """A training at epoch 0: SGD over all parameters of an initialised network, which stays on its device."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = recipe.bn_momentum
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    return Training(network, recipe, seed, optimizer)


def fit(
    training: Training,
    batches: Batches | Passages,
    epochs: int,
    *,
    share: Share = WHOLE,
    measure_on: Batches | Passages | None = None,
    deadline: float | None = None,
    after_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train until `epochs` are finished.

    The learning rate follows a cosine over the recipe's full length and is set per epoch, and every epoch's order has
    its own seed: training for fewer epochs gives exactly the beginning of a longer training.

    Args:
        training: from `begin`, or already trained for some epochs.
        batches: what to train on.
        epochs: to be finished in total.
        share: of `batches`, see `Batches`.
        measure_on: measure the error on this after every epoch; needed where the recipe validates.
        deadline: on the clock of `time.monotonic`.
        after_epoch: called after every epoch; `training` is then what it is between two calls of `fit`.

    Raises:
        EvaluationFailed: "nan" (noticed at the end of its epoch), "timeout".
    """
    recipe, watch = training.recipe, training.watch
    assert measure_on is not None or not recipe.validates, "a recipe that validates needs something to measure on"
    with reproducible(batches.targets.device):
        for epoch in range(training.epochs, epochs):
            for group in training.optimizer.param_groups:
                group["lr"] = learning_rate(recipe, epoch)
            try:
                loss = _train_epoch(training, batches, epoch, share, deadline)
                error = None if measure_on is None else measure(watch.measured, measure_on)
            except EvaluationFailed as failure:
                best = watch.roll_back() if failure.reason == "nan" else None
                if best is None:
                    raise
                loss, error = best.loss, best.value
            training.losses.append(loss)
            if error is not None:
                training.errors.append(error)
                watch.look(training.errors, loss)
            after_epoch()


def _train_epoch(
    training: Training, batches: Batches | Passages, epoch: int, share: Share, deadline: float | None
) -> float:
    recipe, network = training.recipe, training.network
    model, loss = _objective(network, recipe)
    step = training.watch.averaging(partial(update, training.optimizer, recipe.clip))
    network.train()
    if recipe.drop_path:
        _drop_paths(training, epoch)
    if recipe.drop_edge:
        _drop_edges(training, epoch)
    passed = batches.epoch(recipe.batch_size, order_seed(training.seed, epoch), share, recipe.augment)
    name = f"epoch {epoch + 1} of {recipe.epochs}"
    mean = float(train_pass(model, training.optimizer, passed, loss, step, deadline, name))
    _require_finite(mean, f"the training loss of epoch {epoch + 1}")
    return mean


def _objective(network: nn.Module, recipe: Recipe) -> tuple[Callable[[Tensor], Any], Callable[[Any, Tensor], Tensor]]:
    """What is run and how its output is judged: with an auxiliary classifier, CE + weight x CE of its logits."""
    plain = partial(F.cross_entropy, label_smoothing=recipe.label_smoothing)
    if not recipe.auxiliary:
        return network, plain
    assert isinstance(network, Regularised), "a recipe with an auxiliary classifier needs a network that has one"

    def both(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        logits, auxiliary = outputs
        return plain(logits, targets) + recipe.auxiliary * plain(auxiliary, targets)

    return network.logits, both


def _drop_paths(training: Training, epoch: int) -> None:
    """Set the probability of an epoch, counted from 0, and a generator of its own, so that any epoch can follow."""
    network = training.network
    assert isinstance(network, Regularised), "a recipe with drop-path needs a network whose paths can be dropped"
    network.drop_path.probability = training.recipe.drop_path * epoch / training.recipe.epochs
    network.drop_path.generator = torch.Generator().manual_seed(derive(training.seed, f"drop path {epoch}"))


def _drop_edges(training: Training, epoch: int) -> None:
    """Set the probability, which is the same in every epoch, and a generator of its own."""
    network = training.network
    assert isinstance(network, Wired), "a recipe with drop-edge needs a network that is wired by graphs"
    network.drop_edge.probability = training.recipe.drop_edge
    network.drop_edge.generator = torch.Generator().manual_seed(derive(training.seed, f"drop edge {epoch}"))


def train_pass(
    model: Callable[[Tensor], Any],
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    loss: Callable[[Any, Tensor], Tensor],
    step: Callable[[], None],
    deadline: float | None = None,
    name: str = "a pass",
) -> Tensor:
    """One pass of training.

    Args:
        model: in training mode.
        optimizer: whose gradients are cleared before every minibatch.
        batches: targets [B], or [networks, B].
        loss: (what the model gives, targets) -> the mean over a minibatch, a scalar or [networks].
        step: changes the weights by their gradients.
        deadline: on the clock of `time.monotonic`.
        name: of the pass, for the message that the deadline passed in it.

    Returns:
        The mean loss over all samples, shaped as the loss. It is read by the caller, at the end: reading waits for
        the device.

    Raises:
        EvaluationFailed: "timeout".
    """
    total, seen = torch.zeros(()), 0
    for batch in batches:
        if deadline is not None and time.monotonic() > deadline:
            raise EvaluationFailed("timeout", f"the time limit passed in {name}.")
        optimizer.zero_grad(set_to_none=True)
        value, count = _accumulate(model, batch.inputs, batch.targets, loss), batch.targets.shape[-1]
        with scaled_rate(optimizer, batch.rate):
            step()
        total, seen = total.to(value.device) + value * count, seen + count
    return total / seen


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """Rate of an epoch, counted from 0: lr_final + (lr - lr_final) (1 + cos(pi epoch / epochs)) / 2."""
    return recipe.lr_final + (recipe.lr - recipe.lr_final) * (1 + math.cos(math.pi * epoch / recipe.epochs)) / 2


def weights_seed(seed: int) -> int:
    """Which part of a training's seed is for the initial weights."""
    return derive(seed, "weights")


def order_seed(seed: int, epoch: int) -> int:
    """Which part of a training's seed is for the order and augmentation of an epoch, counted from 0."""
    return derive(seed, f"epoch {epoch}")


def measure(model: nn.Module, batches: Batches | Passages, batch_size: int = INFERENCE_BATCH) -> float:
    """The value of a model in evaluation mode: the data's metric, to be minimised.

    Raises:
        EvaluationFailed: "nan", a logit or the value is not finite.
    """
    was_training, metric = model.training, batches.metric
    model.eval()
    total = torch.zeros((), dtype=torch.float64, device=batches.targets.device)
    finite = torch.ones((), dtype=torch.bool, device=batches.targets.device)
    with torch.inference_mode():
        for batch in batches.in_order(batch_size):
            logits = model(batch.inputs)
            total += metric.total(logits, batch.targets)
            finite &= logits.isfinite().all()
    model.train(was_training)
    if not bool(finite):
        raise EvaluationFailed("nan", "the network's output is not finite.")
    value = metric.value(float(total), batches.measured())
    _require_finite(value, f"the {metric.name}")
    return value


# -- around it -----------------------------------------------------------------------------------------------------


def training_cost(macs: int, epochs: int, samples: int, subset: float, measured: int) -> Cost:
    """The charge for a training and its measurement, on the deterministic axes.

    Args:
        macs: of one sample forward through the network.
        epochs: passes.
        samples: per pass.
        subset: share of the training split a pass goes over.
        measured: samples sent forward to measure.
    """
    trained = epochs * samples
    return Cost(
        evaluations=1,
        epochs=epochs * subset,
        train_samples=trained,
        inference_samples=measured,
        macs=macs * (3 * trained + measured),
    )


def choose_device(name: str) -> torch.device:
    """The device of "auto" (CUDA where there is one), "cpu" or "cuda".

    Raises:
        StudyError: another name, or CUDA where there is none.
    """
    if name not in DEVICES:
        raise StudyError(f"`device` must be one of {', '.join(DEVICES)}, but got {name!r}.")
    if name == "cuda" and not torch.cuda.is_available():
        raise StudyError('`device` is "cuda", but PyTorch sees no CUDA device here; write device = "auto" or "cpu".')
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def within_memory(recipe: Recipe, halvings: int, train: Callable[[Recipe], Result]) -> Result:
    """Train by a recipe, or with half its minibatch, a quarter … where a card's memory is too small for it.

    Args:
        recipe: to begin with.
        halvings: how often the minibatch may be halved.
        train: begins and ends a training by the recipe that it is given.

    Raises:
        EvaluationFailed: "memory", with the minibatch that was asked for last and what the card said.
    """
    for left in reversed(range(halvings + 1)):
        try:
            return train(recipe)
        except torch.cuda.OutOfMemoryError as error:
            told = f"the card's memory is too small for minibatches of {recipe.batch_size} samples: {error}"
        if not left or recipe.batch_size == 1:
            break
        recipe = replace(recipe, batch_size=recipe.batch_size // 2)
        torch.cuda.empty_cache()  # here, where the traceback no longer holds what was allocated
    raise EvaluationFailed("memory", told)


def watch_memory(device: torch.device) -> None:
    """Begin a new peak for `peak_memory`."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """Bytes of device memory in use at the highest since `watch_memory`; 0 on a CPU, which does not tell."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


@contextmanager
def failures_named() -> Iterator[None]:
    """Turn whatever breaks inside into EvaluationFailed with its reason; what users wrote wrong passes through."""
    try:
        yield
    except SearchbenchError:
        raise
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise EvaluationFailed("memory", str(error) or "out of memory.") from error
    except Exception as error:
        # PyTorch has no type of its own for running out of host memory
        reason = "memory" if "DefaultCPUAllocator" in str(error) else "error"
        raise EvaluationFailed(reason, f"{type(error).__name__}: {error}") from error


def _require_finite(value: float, what: str) -> None:
    if not math.isfinite(value):
        raise EvaluationFailed("nan", f"{what} became {value}.")


def reproducible(device: torch.device) -> AbstractContextManager[object]:
    """While it lasts, the same training gives the same numbers on a GPU."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
