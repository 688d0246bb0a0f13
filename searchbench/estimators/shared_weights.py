"""Scoring an architecture by the weights it inherits from a trained supernet."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, cast, get_args

import torch
import torch.nn.functional as F
from torch import nn

from searchbench.cost import Cost
from searchbench.errors import EvaluationFailed, StudyError
from searchbench.estimators.batches import Batches
from searchbench.estimators.estimator import InheritedScore
from searchbench.estimators.passages import Passages
from searchbench.estimators.training import INFERENCE_BATCH, failures_named
from searchbench.seeds import derive
from searchbench.spaces.networks import Executing, Known, Path, Reusing, Supernet
from searchbench.spaces.space import Architecture
from searchbench.tasks.task import Batch
from searchbench.trial import Fidelity, Measurement

FEW_LABELS = 5_000
"""Labels below which paths are scored by their loss where nothing else is said: the share of errors on so few is
coarse, on 599 its standard error is 1.9 points at an error of 30 %."""
KEPT_BYTES = 128 << 20
"""Largest total of tensors that are kept because paths have them in common."""

Common = dict[Hashable, Known]
"""What paths have in common, by batch."""
Size = Callable[[Architecture], tuple[int, int]]


class SharedWeights:
    """Validation error or loss of a supernet's path, without training.

    The statistics that batch norms gathered while the supernet was trained belong to no path in particular. So before
    a path is scored they are reset and averaged over `recalibrate` *training* batches, of the same images for every
    path; then the path classifies the *validation* split with them. The supernet is left exactly as it was.

    What a path scores with the same weights is remembered, and charged again all the same: a search that asks twice
    gets the same answers at the same price as if they had been computed twice.

    The only fidelity is `subset`, the share of the validation split that is classified (its first part).

    Args:
        supernet: trained; on the device of the data.
        train: where the images to recalibrate on come from; not augmented.
        valid: what is classified.
        batch_size: of the recalibration.
        recalibrate: training batches; 0 keeps the supernet's own statistics. None: batch norms use the statistics of
            the very batch that is classified, as while training (Bender et al. 2018).
        seed: which training images.
        size: (parameters, MACs of one sample) of an architecture's stand-alone network, reported as metrics.
        score: "error": the value is the split's own metric, such as the share of errors. "loss": it is 1 - exp(-L), L
            the mean cross-entropy, which ranks as L does and lies in [0, 1) as an error does: one minus the geometric
            mean of what the labels' classes were given. None: the loss where there are fewer than `FEW_LABELS` labels,
            if the metric is an error. `valid_error` and `valid_loss` are reported as metrics either way.

    Raises:
        StudyError: `batch_size` or `recalibrate` is out of range, or `score` is unknown.

    Source: Guo et al. 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling", section 3.4.
    Differs: a plain average over the batches, not the exponential one of the released code, so that all batches count.
    """

    def __init__(
        self,
        supernet: Supernet,
        train: Batches | Passages,
        valid: Batches | Passages,
        batch_size: int,
        recalibrate: int | None,
        seed: int,
        size: Size | None = None,
        score: InheritedScore | None = "error",
    ) -> None:
        if score not in (None, *get_args(InheritedScore)):
            raise StudyError(f'`score` must be "loss" or "error", or be left open, but got {score!r}.')
        if batch_size < 1 or (recalibrate or 0) < 0:
            raise StudyError(
                "`batch_size` must be at least 1 and `recalibrate` at least 0, "
                f"but got batch_size={batch_size}, recalibrate={recalibrate}."
            )
        self._supernet, self._train, self._valid = supernet, train, valid
        self._batch_size, self._recalibrate, self._seed = batch_size, recalibrate, seed
        self._size = size
        counts = valid.metric.name == "error"
        self._by_loss = counts and (score == "loss" or (score is None and len(valid) < FEW_LABELS))
        self._known: dict[tuple[Hashable, float], tuple[float, float]] = {}
        """(value, loss) by what is executed and the share that is classified, of the weights of `_digest`."""
        self._digest = b""
        self._common: Common | None = {} if self._worth_keeping() else None
        """Where the supernet can keep it: of the passes of scores on `_share` of the split."""
        self._share = 1.0
        net = cast(nn.Module, supernet)
        self._modules = list(net.modules())
        self._norms = [m for m in self._modules if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        self._scored_with = [*net.parameters(), *(net.buffers() if recalibrate == 0 else ())]

    def complete(self, fidelity: Fidelity) -> Fidelity:
        """`subset` at 1 where it is open.

        Raises:
            StudyError: another fidelity is given, or `subset` is over 1.
        """
        for name in ("epochs", "width", "resolution"):
            if getattr(fidelity, name) is not None:
                raise StudyError(
                    f"inherited weights are scored without training, so the fidelity `{name}` has no meaning; "
                    "only `subset`, the share of the validation split, has."
                )
        subset = 1.0 if fidelity.subset is None else fidelity.subset
        if subset > 1:
            raise StudyError(f"`subset` is a share of the validation split, at most 1, but got {subset}.")
        return Fidelity(subset=subset)

    def price(self, architecture: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        """Forward passes of recalibration and validation; no evaluation, no training sample."""
        samples = self._recalibration_samples() + self._scored(fidelity)
        macs = self._supernet.macs(self._supernet.path(architecture))
        return Cost(inference_samples=samples, macs=macs * samples)

    def evaluate(
        self, architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        """Score a path. Nothing in it is random, so `seed` changes nothing.

        Raises:
            EvaluationFailed: the path's output is not finite.
        """
        path, started = self._supernet.path(architecture), time.perf_counter()
        value, loss = self._score(path, fidelity.subset or 1.0)
        cost = self.price(architecture, fidelity) + Cost(device_s=time.perf_counter() - started)
        metrics = {f"valid_{self._valid.metric.name}": value, "valid_loss": loss}
        if self._size is not None:
            metrics["params"], metrics["macs"] = self._size(architecture)
        return Measurement(-math.expm1(-loss) if self._by_loss else value, metrics), cost

    def _score(self, path: Path, share: float) -> tuple[float, float]:
        """(value, loss), from memory where the weights are those of an earlier score."""
        digest = self._weights_digest()
        if digest != self._digest:
            self._known = {}
        if (digest, share) != (self._digest, self._share):
            self._forget()
        self._digest, self._share = digest, share
        executed = self._supernet.executed(path) if isinstance(self._supernet, Executing) else path
        known = self._known.get((executed, share))
        if known is None:
            with failures_named(), torch.no_grad(), self._untouched():
                try:
                    if self._recalibrate:
                        self._average_statistics(path, self._common)
                    self._set_mode(training=self._recalibrate is None)
                    known = self._known[executed, share] = self._classify(path, share)
                except BaseException:
                    self._forget()  # half a score is known, of which the other half must not make use
                    raise
        return known

    def _worth_keeping(self) -> bool:
        if not isinstance(self._supernet, Reusing):
            return False
        kept = self._supernet.kept_bytes(self._recalibration_samples() + len(self._valid))
        return kept is not None and kept <= KEPT_BYTES

    def _forget(self) -> None:
        if self._common is not None:
            self._common.clear()

    def _logits(self, inputs: Any, path: Path, common: Common | None, name: Hashable) -> torch.Tensor:
        """A pass over the batch of a name, always the same images."""
        if common is None:
            return self._supernet(inputs, path)
        known = common.setdefault(name, Known())
        return cast(nn.Module, self._supernet)(inputs, path, known)  # type: ignore[no-any-return]

    def _weights_digest(self) -> bytes:
        """Digest of every weight, and of the statistics where those are what is scored with.

        Version counters would not do: a fused optimiser does not raise them.
        """
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in self._scored_with])  # leaves a GPU in one piece
        return hashlib.blake2b(flat.cpu().numpy().data, digest_size=16).digest()

    def recalibrate(self, path: Path) -> None:
        """Replace the statistics of the path's batch norms by the average over the recalibration batches."""
        self._average_statistics(path, None)

    def _average_statistics(self, path: Path, common: Common | None) -> None:
        """Average the statistics; batch norms of which `common` knows the outputs are left alone."""
        for norm in self._norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average
        self._set_mode(training=True)
        with torch.no_grad():
            for number, batch in enumerate(self._recalibration_batches()):
                self._logits(batch.inputs, path, common, ("recalibration", number))

    def _recalibration_batches(self) -> Iterator[Batch]:
        left, passes = self._recalibrate or 0, 0
        while left:
            for batch in self._train.epoch(self._batch_size, derive(self._seed, f"pass {passes}")):
                if not left:
                    return
                yield batch
                left -= 1
            passes += 1

    def _recalibration_samples(self) -> int:
        left, passes, samples = self._recalibrate, 0, 0
        while left:
            sizes = self._train.sizes(self._batch_size, derive(self._seed, f"pass {passes}"))[:left]
            left, passes, samples = left - len(sizes), passes + 1, samples + sum(sizes)
        return samples

    def _scored(self, fidelity: Fidelity) -> int:
        """Validation samples that are scored."""
        return self._valid.measured(fidelity.subset or 1.0)

    def _classify(self, path: Path, share: float) -> tuple[float, float]:
        """(value, mean cross-entropy) of the first share of the validation split."""
        metric, total, loss = self._valid.metric, 0.0, 0.0
        for number, batch in enumerate(self._valid.in_order(INFERENCE_BATCH, share)):
            logits = self._logits(batch.inputs, path, self._common, ("validation", number))
            total += float(metric.total(logits, batch.targets))
            loss += float(F.cross_entropy(logits, batch.targets, reduction="sum"))
        if not math.isfinite(loss):
            raise EvaluationFailed("nan", f"the inherited network's validation loss is {loss}.")
        samples = self._valid.measured(share)
        return metric.value(total, samples), loss / samples

    def _set_mode(self, *, training: bool) -> None:
        """Set the mode of every module. `train` walks them, which takes as long as half of a search's scores."""
        for module in self._modules:
            module.training = training

    @contextmanager
    def _untouched(self) -> Iterator[None]:
        """Put back mode, momenta and statistics, whatever happens."""
        was_training = [module.training for module in self._modules]
        kept = [(norm.momentum, [buffer.clone() for buffer in norm.buffers()]) for norm in self._norms]
        try:
            yield
        finally:
            for module, mode in zip(self._modules, was_training, strict=True):
                module.training = mode
            for norm, (momentum, buffers) in zip(self._norms, kept, strict=True):
                norm.momentum = momentum
                for buffer, value in zip(norm.buffers(), buffers, strict=True):
                    buffer.copy_(value)
