"""Zero-cost proxies: what a network looks like before any training, on one minibatch.

The descriptions only; `searchbench.estimators.proxies` computes them, and is imported when one is opened, since it
needs PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from searchbench.errors import StudyError, did_you_mean
from searchbench.estimators.judge import TrainJudge
from searchbench.seeds import Seeds
from searchbench.spaces.space import Space
from searchbench.tasks.task import Task

if TYPE_CHECKING:
    from searchbench.estimators.proxies import Proxies

ZEN_REPEATS = 4
"""Draws of weights and inputs that a Zen score is the mean of."""
PASSES = {
    "params": (0, 0),
    "macs": (0, 0),
    "l2_norm": (0, 0),
    "grad_norm": (1, 0),
    "plain": (1, 0),
    "snip": (1, 0),
    "grasp": (2, 0),
    "fisher": (1, 0),
    "synflow": (1, 0),
    "jacob_cov": (1, 0),
    "epe_nas": (1, 0),
    "nwot": (0, 1),
    "zen": (0, 2 * ZEN_REPEATS),
}
"""What each proxy is charged: (forward and backward passes, forward passes) of a minibatch. Synflow's is of one input;
Grasp differentiates a gradient, counted as a second pass."""


@dataclass(frozen=True, slots=True)
class ZeroCost:
    """The value to minimise is minus the proxy's score, of an initialised network on one minibatch, the same for every
    architecture of a replicate. Sums are over the weights W of convolutions and linear layers, g = dL/dW.

    params     number of trainable scalars;  macs  forward multiply-accumulates of one sample
    l2_norm    sum_l ||W_l||_2;  grad_norm  sum_l ||g_l||_2;  plain  sum g W;  snip  sum |g W|
    grasp      -sum W (H g), H the Hessian
    fisher     sum over layers and channels of the batch's mean of (sum_hw activation x its gradient)^2 / 2
    synflow    every parameter replaced by its absolute value, no batch norm, one input of ones, R = sum of outputs:
               sum |dR/dW W|
    jacob_cov  -sum log(v + k) + 1 / (v + k), k = 1e-5, v the eigenvalues of the samples' input Jacobians' correlation
    epe_nas    sum over classes of |sum log(|C| + k)|, C the correlations of the input Jacobians of a class's samples
    zen        log sum |f(x + 0.01 e) - f(x)| + sum over batch norms of log sqrt(mean variance), W, x, e ~ N(0, 1), f
               what the classifier's pooling reads; the mean of four draws
    nwot       log |det K|, K = sum over rectifiers of C C^T + (1 - C)(1 - C)^T, C the samples' binary codes

    Args:
        proxy: one of the names above.
        batch_size: samples of the minibatch.

    Raises:
        StudyError: there is no such proxy, or `batch_size` is no integer of at least 2.

    Source: Abdelfattah et al. 2021; Lee et al. 2019 (snip); Wang et al. 2020 (grasp); Turner et al. 2020 (fisher);
        Tanaka et al. 2020 (synflow); Mellor et al. 2021 (jacob_cov, nwot); Lopes et al. 2021 (epe_nas); Lin et al. 2021
        (zen). With params and macs the 13 of NAS-Bench-Suite-Zero (Krishnakumar et al. 2022).
    Differs: convolutions that read the same node are one layer here, which matters to grad_norm, and share one
        rectifier, which matters to nwot; zen takes a batch norm's variance in the minibatch (the released code a moving
        average of one step), and four draws (32 there); a score that is undefined (NaN) is a failed evaluation.
    """

    proxy: str = "synflow"
    batch_size: int = 64
    device: str = field(default="auto", metadata={"described": False})  # where it runs is no part of the problem
    """ "auto" (CUDA where there is one), "cpu" or "cuda"."""

    def __post_init__(self) -> None:
        if self.proxy not in PASSES:
            raise StudyError(f"there is no zero-cost proxy `{self.proxy}`; {did_you_mean(self.proxy, PASSES)}")
        if type(self.batch_size) is not int or self.batch_size < 2:
            raise StudyError(f"`batch_size` must be an integer of at least 2, but got {self.batch_size!r}.")

    @property
    def trains(self) -> bool:
        """False: nothing is trained, and no supernet can be."""
        return False

    @property
    def reads_task(self) -> bool:
        """True: the minibatch is of the task's data."""
        return True

    def checksum(self) -> str:
        """Empty: it reads nothing besides the task's data."""
        return ""

    def open(self, space: Space, task: Task, seeds: Seeds) -> Proxies:
        """Read the replicate's train split. Raises SpaceError, StudyError, DataMissing."""
        from searchbench.estimators.proxies import Proxies
        from searchbench.estimators.training import choose_device

        return Proxies(
            spec=self,
            networks=space.builder(),
            shape=task.shape,
            data=task.search_data(seeds),
            device=choose_device(self.device),
            order_seed=seeds.torch_seed("order", "zero-cost"),
        )

    def judge(self) -> TrainJudge:
        """Training by the task's own recipe."""
        return TrainJudge(device=self.device)
