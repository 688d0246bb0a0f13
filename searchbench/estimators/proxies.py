"""The zero-cost proxies themselves. This file imports torch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from searchbench.cost import Cost
from searchbench.errors import InputError
from searchbench.estimators.batches import Batches, pictures
from searchbench.estimators.training import failures_named, weights_seed
from searchbench.estimators.zero_cost import PASSES, ZEN_REPEATS
from searchbench.spaces.networks import Networks, Shape, initialise
from searchbench.spaces.space import Architecture
from searchbench.tasks.task import Batch, SearchData
from searchbench.trial import Fidelity, Measurement

if TYPE_CHECKING:
    from searchbench.estimators.zero_cost import ZeroCost

WHOLE = Fidelity(None, 1.0, 1.0, 1.0)


class Proxies:
    """The live estimator of one run: one minibatch of training data, and one proxy."""

    def __init__(
        self,
        *,
        spec: ZeroCost,
        networks: Networks,
        shape: Shape,
        data: SearchData,
        device: torch.device,
        order_seed: int,
    ) -> None:
        self._spec, self._networks, self._shape, self._classes = spec, networks, shape, data.classes
        self._device = device
        self._batch = next(Batches(pictures(data.train), device).epoch(spec.batch_size, order_seed))

    def complete(self, fidelity: Fidelity) -> Fidelity:
        """The whole of everything; there are no epochs. Raises InputError for any lower fidelity."""
        if any(getattr(fidelity, name) not in (None, 1.0) for name in ("epochs", "subset", "width", "resolution")):
            raise InputError(f"a zero-cost proxy has no lower fidelity, but {fidelity} was asked for; leave it open.")
        return WHOLE

    def price(self, architecture: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        """The minibatch's passes, see `PASSES`."""
        trained, inferred = PASSES[self._spec.proxy]
        samples = 1 if self._spec.proxy == "synflow" else len(self._batch)
        _, macs = self._networks.size(architecture, self._shape, self._classes)
        return Cost(
            evaluations=1,
            train_samples=trained * samples,
            inference_samples=inferred * samples,
            macs=macs * samples * (3 * trained + inferred),
        )

    def evaluate(
        self, architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        """Minus the score of the network initialised by `seed`; the lab fails the trial where it is not finite."""
        started = time.perf_counter()
        params, macs = self._networks.size(architecture, self._shape, self._classes)
        with failures_named():
            if self._spec.proxy in ("params", "macs"):
                score = float(params if self._spec.proxy == "params" else macs)
            else:
                network = self._networks.network(architecture, self._shape, self._classes)
                score = PROXIES[self._spec.proxy](
                    initialise(network, weights_seed(seed), self._device).train(), self._batch
                )
        cost = replace(self.price(architecture, fidelity), device_s=time.perf_counter() - started)
        return Measurement(-score, {"score": score, "params": float(params), "macs": float(macs)}), cost


def weights_of(network: nn.Module) -> list[Tensor]:
    """The weights of convolutions and linear layers, in module order."""
    return [part.weight for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)]


def _gradients(value: Tensor, of: list[Tensor], **settings: Any) -> list[Tensor]:
    """Gradients, zeros for what has no part in `value`."""
    found = torch.autograd.grad(value, of, allow_unused=True, **settings)
    return [torch.zeros_like(w) if g is None else g for g, w in zip(found, of, strict=True)]


def _loss(network: nn.Module, batch: Batch) -> Tensor:
    return F.cross_entropy(network(batch.inputs), batch.targets)


def grad_norm(network: nn.Module, batch: Batch) -> float:
    """Sum over layers of the gradient's norm."""
    gradients = _gradients(_loss(network, batch), weights_of(network))
    return float(sum(g.norm() for g in gradients))


def l2_norm(network: nn.Module, batch: Batch) -> float:
    """Sum over layers of the weights' norm."""
    return float(sum(w.detach().norm() for w in weights_of(network)))


def plain(network: nn.Module, batch: Batch) -> float:
    """Sum of gradient x weight, signs and all."""
    weights = weights_of(network)
    gradients = _gradients(_loss(network, batch), weights)
    return float(sum((g * w.detach()).sum() for g, w in zip(gradients, weights, strict=True)))


def snip(network: nn.Module, batch: Batch) -> float:
    """Sum of |gradient x weight|."""
    weights = weights_of(network)
    gradients = _gradients(_loss(network, batch), weights)
    return float(sum((g * w.detach()).abs().sum() for g, w in zip(gradients, weights, strict=True)))


def grasp(network: nn.Module, batch: Batch) -> float:
    """-sum weight x (Hessian x gradient)."""
    weights = weights_of(network)
    gradients = _gradients(_loss(network, batch), weights, create_graph=True)
    pull = sum((g.detach() * g).sum() for g in gradients)
    assert isinstance(pull, Tensor)
    if not pull.requires_grad:
        return math.nan
    curvatures = _gradients(pull, weights)
    return -float(sum((h * w.detach()).sum() for h, w in zip(curvatures, weights, strict=True)))


def fisher(network: nn.Module, batch: Batch) -> float:
    """Sum over layers and channels of the batch's mean squared sensitivity, halved."""
    activations: list[Tensor] = []

    def keep(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        activations.append(output)

    hooks = [p.register_forward_hook(keep) for p in network.modules() if isinstance(p, nn.Conv2d | nn.Linear)]
    try:
        gradients = _gradients(_loss(network, batch), activations)
    finally:
        for hook in hooks:
            hook.remove()
    sensitivities = [
        (a.detach() * g).flatten(2).sum(2) if a.dim() > 2 else a.detach() * g
        for a, g in zip(activations, gradients, strict=True)
    ]
    return float(sum((s**2).mean(0).sum() / 2 for s in sensitivities))


def synflow(network: nn.Module, batch: Batch) -> float:
    """Sum of |gradient x weight| of the summed outputs, all parameters positive, without batch norm, in float64.

    The network is left as it was."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with _without_norms(network):
        network.double()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        weights = weights_of(network)
        ones = torch.ones_like(batch.inputs[:1], dtype=torch.float64)
        gradients = _gradients(network(ones).sum(), weights)
        score = float(sum((g * w.detach()).abs().sum() for g, w in zip(gradients, weights, strict=True)))
    network.float()
    network.load_state_dict(before)
    return score


@contextmanager
def _without_norms(network: nn.Module) -> Iterator[None]:
    """Inside, batch norms pass their input on."""
    norms = [part for part in network.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_hook(lambda part, inputs, output: inputs[0]) for norm in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def jacob_cov(network: nn.Module, batch: Batch) -> float:
    """How differently the network's output moves with each sample's input."""
    inputs = batch.inputs.clone().requires_grad_(True)
    (jacobian,) = _gradients(network(inputs).sum(), [inputs])
    rows = jacobian.flatten(1).double()
    rows = rows - rows.mean(1, keepdim=True)
    norms = rows.norm(dim=1, keepdim=True)
    if not bool((norms > 0).all()):
        return math.nan
    correlation = (rows / norms) @ (rows / norms).T
    eigenvalues = torch.linalg.eigvalsh(correlation) + 1e-5
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())


def epe_nas(network: nn.Module, batch: Batch) -> float:
    """How alike the network's output moves with the inputs of one class, over classes; NaN where no class has two
    samples whose outputs move."""
    inputs = batch.inputs.clone().requires_grad_(True)
    (jacobian,) = _gradients(network(inputs).sum(), [inputs])
    rows = jacobian.flatten(1).double()
    scores = []
    for label in sorted(set(batch.targets.tolist())):
        own = rows[batch.targets == label]
        if len(own) > 1 and bool((own.std(1) > 0).all()):
            scores.append(float((torch.corrcoef(own).abs() + 1e-5).log().sum().abs()))
    return math.fsum(scores) if scores else math.nan


class PooledFeatures(TorchFunctionMode):
    """Keeps what a network averages over its image, last."""

    def __init__(self) -> None:
        super().__init__()
        self.features: Tensor | None = None

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in (torch.mean, Tensor.mean) and args[0].dim() == 4:
            self.features = args[0]
        return function(*args, **(kwargs or {}))


def zen(network: nn.Module, batch: Batch) -> float:
    """How far Gaussian noise on a Gaussian input carries through Gaussian weights, with what batch norms took away put
    back; NaN where the network pools no image. The same noise for every network; the network is left changed."""
    generator = torch.Generator().manual_seed(0)

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator).to(like)

    scores = [_zen_once(network, batch, normal) for _ in range(ZEN_REPEATS)]
    return math.fsum(scores) / ZEN_REPEATS


def _zen_once(network: nn.Module, batch: Batch, normal: Callable[[Tensor], Tensor]) -> float:
    taken: list[float] = []

    def keep(part: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        taken.append(0.5 * math.log(float(inputs[0].var((0, 2, 3), correction=0).mean()) + 1e-30))

    with torch.no_grad():
        for weight in weights_of(network):
            weight.copy_(normal(weight))
        image, noise = normal(batch.inputs), normal(batch.inputs)
        hooks = [p.register_forward_pre_hook(keep) for p in network.modules() if isinstance(p, nn.BatchNorm2d)]
        try:
            before = _pooled(network, image)
        finally:
            for hook in hooks:
                hook.remove()
        after = _pooled(network, image + ZEN_STEP * noise)
    if before is None or after is None:
        return math.nan
    moved = float((after - before).abs().sum((1, 2, 3)).mean())
    return (math.log(moved) if moved > 0 else math.nan) + math.fsum(taken)


def _pooled(network: nn.Module, inputs: Tensor) -> Tensor | None:
    seen = PooledFeatures()
    with seen:
        network(inputs)
    return seen.features


ZEN_STEP = 0.01

RECTIFIERS = (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6, F.hardtanh)


class Codes(TorchFunctionMode):
    """Adds up K while a network runs: every rectifier gives each sample a binary code."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel: Tensor | None = None
        self.units = 0

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        if function in RECTIFIERS:
            code = (output.flatten(1) > 0).double()
            agreement = code @ code.T + (1 - code) @ (1 - code).T
            self.kernel = agreement if self.kernel is None else self.kernel + agreement
            self.units += code.shape[1]
        return output


def codes(network: nn.Module, batch: Batch) -> Codes:
    """The kernel of binary codes of a minibatch, [B, B]; its diagonal is the number of rectified units."""
    found = Codes()
    with torch.no_grad(), found:
        network(batch.inputs)
    return found


def nwot(network: nn.Module, batch: Batch) -> float:
    """log |det K|; NaN where the network has no rectifier."""
    kernel = codes(network, batch).kernel
    return math.nan if kernel is None else float(torch.linalg.slogdet(kernel).logabsdet)


PROXIES: dict[str, Callable[[nn.Module, Batch], float]] = {
    "l2_norm": l2_norm,
    "grad_norm": grad_norm,
    "plain": plain,
    "snip": snip,
    "grasp": grasp,
    "fisher": fisher,
    "synflow": synflow,
    "jacob_cov": jacob_cov,
    "epe_nas": epe_nas,
    "nwot": nwot,
    "zen": zen,
}
