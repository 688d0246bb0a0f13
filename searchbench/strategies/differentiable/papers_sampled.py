"""The papers whose relaxation draws, or executes one operation at a time, as compositions of parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from searchbench.errors import StudyError
from searchbench.strategies.differentiable.composition import Differentiable
from searchbench.strategies.differentiable.edges import PartialChannels
from searchbench.strategies.differentiable.extras import UndrawnAsScalars
from searchbench.strategies.differentiable.hypergradient import JointGradient, ScoreFunction
from searchbench.strategies.differentiable.pace import LEAST_STEPS
from searchbench.strategies.differentiable.papers import on_darts
from searchbench.strategies.differentiable.regularise import (
    Complexity,
    DirichletDivergence,
    ExpectedCost,
    LogCost,
    ScaledByCost,
)
from searchbench.strategies.differentiable.relaxation_pair import SoftPair
from searchbench.strategies.differentiable.relaxation_sampled import (
    BinaryGate,
    Concrete,
    CoolingConcrete,
    DirichletWeights,
    GumbelHard,
    Proximal,
)
from searchbench.strategies.differentiable.routes import RoutedEdges
from searchbench.strategies.differentiable.schedule import Constant, Joint, WarmUp
from searchbench.strategies.differentiable.widen import MoreChannels


@on_darts()
def nasp(host: Differentiable, eta: float = 0.0) -> Differentiable:
    """NASP: logits in [0, 1] whose proximal one-hot is what the weights train; the gradient there moves the logits.

    Args:
        eta: strength of the complexity term.

    Source: Yao, Xu, Tu & Zhu 2020, "Efficient neural architecture search via proximal iterations".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; the operations
        are the space's own, not the paper's list, so `none` competes where a space has it (and is left out of what is
        derived).
    """
    return replace(host, relax=Proximal(), regularise=(Complexity(eta),) if eta else ())


@on_darts(over=97_750)
def gdas(
    host: Differentiable, tau_first: float = 10.0, tau_last: float = 0.1, gradient: str = "drawn"
) -> Differentiable:
    """GDAS: execute one operation per edge, drawn by Gumbel-argmax, with the gradient of the Gumbel-softmax.

    Args:
        tau_first, tau_last: temperature in the first and in the last epoch.
        gradient: "drawn": of the drawn operation's weight only, as in the paper and its code for the NASNet space;
            "all": the others enter the sum as numbers that are zero, as in the released code for NAS-Bench-201, the
            one space whose supernet has that form.

    Raises:
        StudyError: an unknown `gradient`.

    Source: Dong & Yang 2019, "Searching for a robust neural architecture in four GPU hours".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; the reduction
        cell is searched too.
    """
    if gradient not in ("drawn", "all"):
        raise StudyError(f'`gradient` must be "drawn" or "all", but got {gradient!r}.')
    extras = (*host.extras, UndrawnAsScalars()) if gradient == "all" else host.extras
    return replace(host, relax=GumbelHard(tau_first, tau_last), extras=extras)


@on_darts("order", over=39_100)
def drnas(host: Differentiable, divergence: float = 0.0) -> Differentiable:
    """DrNAS: the weights of an edge's operations are drawn from a Dirichlet distribution, whose concentrations learn.

    Args:
        divergence: weight of the divergence from the uniform distribution; 0: the logits' weight decay draws
            concentrations towards 1 instead, as in the released code.

    Source: Chen, Wang, Cheng, Tang & Hsieh 2021, "DrNAS: Dirichlet neural architecture search".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; without the
        progressive partial channels of the paper's second part, see `drnas_progressive`.
    """
    if not divergence:
        return replace(host, relax=DirichletWeights())
    alphas = replace(host.alphas, weight_decay=0.0)
    return replace(host, relax=DirichletWeights(), regularise=(DirichletDivergence(divergence),), alphas=alphas)


@on_darts("order", over=31_280)
def drnas_progressive(
    host: Differentiable, divisors: Sequence[int] = (4, 2), keep: int | None = None, warmup: float = 0.2
) -> Differentiable:
    """DrNAS, progressive: a half of the epochs with few channels and all operations, a half with more channels and the
    heaviest operations of every edge; weights and logits go on.

    Args:
        divisors: 1/K of the channels pass through operations in either half.
        keep: operations per edge in the second half. None: half of them, rounded up; three of NAS-Bench-201's five as
            in the paper.
        warmup: share of the epochs of either half in which only the weights move.

    Source: Chen, Wang, Cheng, Tang & Hsieh 2021, "DrNAS: Dirichlet neural architecture search", section 3.4, and its
        code for NAS-Bench-201.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; edges are weighed
        as in `pc_darts` on every space; the weights' momentum begins anew when the supernet is widened.
    """
    first, second = divisors
    return replace(
        host,
        relax=DirichletWeights(),
        schedule=WarmUp(host.schedule, warmup),
        edges=PartialChannels(first),
        prune=MoreChannels((first, second), keep),
    )


@on_darts("ratio", alpha_lr=0.01, over=10_500, ratio=4.0)
def fbnet(
    host: Differentiable, factor: float = 0.2, power: float = 0.6, of: str = "macs", warmup: float = 1 / 9
) -> Differentiable:
    """FBNet's search: concrete relaxation with a falling temperature, cross-entropy times a power of the logarithm of
    the expected cost; weights learn on four fifths of the training part, logits on the rest.

    L_val factor (ln E)^power, E the expected cost

    Args:
        ratio: of the training part, between weights and logits.
        factor, power: see above.
        of: what the cost is: "macs", or "latency_ms" by the problem's latency, which must be above 1 ms.
        warmup: share of the epochs in which only the weights move.

    Source: Wu et al. 2019, "FBNet: hardware-aware efficient ConvNet design via differentiable neural architecture
        search", equations 2 to 6 and section 4.3.
    Differs: settings that are not part of the method are those of `darts`; weights and logits take turns by the
        minibatch, not by the epoch; the space is the problem's, not the paper's; the architecture handed over is the
        likeliest, of which the paper samples some and trains them.
    """
    return replace(
        host,
        relax=CoolingConcrete(),
        schedule=WarmUp(host.schedule, warmup),
        regularise=(ScaledByCost(factor, power, math.e, of),),
        alphas=replace(host.alphas, betas=(0.9, 0.999), weight_decay=5e-4),
    )


@on_darts("ratio", leaving_out=("none",), over=7_300, ratio=4.0)
def densenas(
    host: Differentiable,
    weight: float = 0.15,
    base: float = 15.0,
    of: str = "macs",
    every: int | None = None,
    warmup: float = 1 / 3,
) -> Differentiable:
    """DenseNAS's search: a densely connected supernet of blocks, in which the ways from block to block have logits
    (beta) beside those of operations (alpha); the likeliest route through the blocks is handed over.

    x_j = H_j(sum_i p_ij H_ij(x_i)),  p_ij = softmax_j(beta_i);  L_val + weight log_base E, E the cost expected over
    routes and their operations. A step executes every way, with one operation of each layer on the weights' turn and
    two on the architecture's.

    Args:
        ratio: of the training part, between weights and logits.
        weight, base: see above.
        of: what the cost is: "macs", or "latency_ms" by the problem's latency.
        every: the architecture moves on every so many-th minibatch. None: 4, so that it sees as many passes over its
            fifth of the images as the weights over theirs, fewer in a short search.
        warmup: share of the epochs in which only the weights move.

    For spaces whose architectures are routes, such as `densenas`.

    Source: Fang, Sun, Zhang, Li, Liu & Wang 2020, "Densely connected search space for more flexible neural architecture
        search", section 3, and its code: see `RoutedEdges`, `SoftPair`, `LogCost` and `LikeliestRoute`.
    Differs: settings that are not part of the method are those of `darts`; weights and logits take turns by the
        minibatch, not by the epoch; the expected cost is over the whole softmax of a layer's operations, as in the
        paper, where the code takes that of the drawn pair; the last 1x1 convolution weighs its inputs by p as every
        block does, where the code takes the softmax of those p once more; operations are drawn by their probabilities
        in the warm-up too, where logits have not moved and the code draws uniformly.
    """
    return replace(
        host,
        relax=SoftPair(),
        schedule=WarmUp(Constant(4, LEAST_STEPS) if every is None else Constant(every), warmup),
        edges=RoutedEdges(),
        regularise=(LogCost(weight, base, of),) if weight else (),
    )


@on_darts(over=117_300)
def snas(host: Differentiable, cost: float = 0.0) -> Differentiable:
    """SNAS: concrete relaxation with a falling temperature; weights and logits descend one training loss together.

    Args:
        cost: weight of the expected multiply-accumulates, relative to those of equal probabilities.

    Source: Xie, Zheng, Liu & Lin 2019, "SNAS: stochastic neural architecture search".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(
        host,
        relax=Concrete(),
        schedule=Joint(),
        hypergradient=JointGradient(),
        regularise=(ExpectedCost(cost),) if cost else (),
        alphas=replace(host.alphas, mean=1.0, scale=0.01),
    )


@on_darts(alpha_lr=1e-3, over=115_440)
def proxyless(
    host: Differentiable,
    cost: float = 0.0,
    multiply: bool = False,
    every: int | None = None,
    warmup: float = 0.25,
    mode: str = "two",
    of: str = "macs",
    zero: str = "moves",
) -> Differentiable:
    """ProxylessNAS, gradient: binary gates execute one path; two paths per edge are compared to move the logits.

    Args:
        cost: weight of the expected cost; 0: none.
        multiply: the cost multiplies the loss, as in the released code, instead of being added.
        every: the architecture moves on every so many-th minibatch. None: the paper's 5, fewer in a short search.
        warmup: share of the epochs in which only the weights move.
        mode: "two" or "full", see `BinaryGate`.
        of: what the cost is: "macs", or "latency_ms" by the problem's latency.
        zero: "moves": where the active operation is a zero, logits move as the paper's gradient has it; "skips": they
            stay, as in the released code.

    Source: Cai, Zhu & Han 2019, "ProxylessNAS: direct neural architecture search on target task and hardware".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; mode "full"
        keeps all outputs in memory instead of computing them one at a time; the expected cost is that of the whole
        softmax, where the released code takes it over the drawn pair; logits move also where the active operation is a
        zero unless `zero` says otherwise; one Adam has the logits of all edges, where the released code counts each
        edge's own steps.
    """
    found = _gated(host, BinaryGate(mode, zero), every, warmup)  # type: ignore[arg-type]
    if not cost:
        return found
    return replace(found, regularise=(ScaledByCost(of=of) if multiply else ExpectedCost(cost, of=of),))


@on_darts(alpha_lr=1e-3, over=115_440)
def proxyless_reinforce(
    host: Differentiable,
    paths: int = 10,
    target_macs: float | None = None,
    target_ms: float | None = None,
    every: int | None = None,
    warmup: float = 0.25,
) -> Differentiable:
    """ProxylessNAS, REINFORCE: binary gates; logits follow the reward of sampled paths.

    Args:
        paths: per step of the architecture.
        target_macs: multiply-accumulates at which the reward is the accuracy itself; None: accuracy alone.
        target_ms: the same in milliseconds of the problem's latency, instead.
        every, warmup: see `proxyless`.

    Source: Cai, Zhu & Han 2019, "ProxylessNAS", section 3.3.2.
    Differs: as `proxyless` does.
    """
    if target_macs is not None and target_ms is not None:
        raise StudyError("the reward has one target: give `target_macs` or `target_ms`, not both.")
    score = ScoreFunction(paths, target_macs) if target_ms is None else ScoreFunction(paths, target_ms, of="latency_ms")
    return replace(_gated(host, BinaryGate("two"), every, warmup), hypergradient=score)


def _gated(host: Differentiable, gate: BinaryGate, every: int | None, warmup: float) -> Differentiable:
    """What both variants of ProxylessNAS have in common."""
    return replace(
        host,
        relax=gate,
        schedule=WarmUp(Constant(5, LEAST_STEPS) if every is None else Constant(every), warmup),
        alphas=replace(host.alphas, betas=(0.0, 0.999), weight_decay=0.0),
    )
