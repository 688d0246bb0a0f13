"""The papers that move logits otherwise than down a gradient by Adam, or hand over what was measured, as compositions:
experts, bandits, annealing, groups, a template, Shapley values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from searchbench.strategies.differentiable.composition import Differentiable
from searchbench.strategies.differentiable.credit import Exp3, LinearCredit, Shapley
from searchbench.strategies.differentiable.finalists import Finalists
from searchbench.strategies.differentiable.hypergradient import JointGradient
from searchbench.strategies.differentiable.papers import on_darts
from searchbench.strategies.differentiable.prune_shares import LIKE, BelowShare, Groups, Wipeout
from searchbench.strategies.differentiable.relaxation_experts import AnnealedSoftmax, ByRank, ExpertAdvice, Template
from searchbench.strategies.differentiable.relaxation_sampled import BinaryGate
from searchbench.strategies.differentiable.schedule import Joint, OncePerEpoch, WarmUp
from searchbench.strategies.differentiable.update import Assigned, Exponentiated

ROUNDS, EXPERTS = 19_550, 8
"""Steps of the logits in DARTS's search, and operations on an edge there: what rates of experts are worked out of."""
HEDGE = round(math.sqrt(2 * math.log(EXPERTS) / ROUNDS), 4)
"""eta = sqrt(2 ln N / T) / L, at which the bound of the regret is least, L = 1."""
BANDIT = round(math.sqrt(2 * math.log(EXPERTS) / (EXPERTS * ROUNDS)), 4)
"""eta = sqrt(2 ln K / (K T)), at which EXP3's bound is least."""


@on_darts("order", alpha_lr=HEDGE, over=ROUNDS)
def xnas(host: Differentiable, bound: float = 1.0) -> Differentiable:
    """XNAS: operations are experts whose weights grow or shrink exponentially with their rewards; one that cannot
    become the heaviest any more is wiped out.

    R_o = -<dL_val/dp, f_o>, cut to [-L, L];  v_o <- v_o exp(eta R_o);  out if v_o < max v exp(-2 eta L (T - t))

    Args:
        alpha_lr: eta. None: sqrt(2 ln 8 / T), T the steps of the logits.
        bound: L, the largest reward that counts as it is.

    Source: Nayman et al. 2019, "XNAS: neural architecture search with expert advice", Algorithm 1, read in the picture
        of it beside the authors' code, which holds no search.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; a round is a step
        on a minibatch, where the authors', as an independent implementation (Archai) has it, is one image in one cell,
        so that there are millions of rounds and a rate for each type of cell; rewards in all cells of a type are added
        before they are cut; `none` is never left alone.
    """
    alphas = replace(host.alphas, update=Exponentiated(bound), scale=0.0, weight_decay=0.0)
    return replace(host, relax=ExpertAdvice(), prune=Wipeout(bound), alphas=alphas)


@on_darts("order")
def asap(
    host: Differentiable, share: float = 0.4, first: float = 1.6, last: float = 0.123, warmup: float = 0.2
) -> Differentiable:
    """ASAP: the softmax's temperature is annealed, and what weighs less than a share of the even weight is pruned.

    w = softmax(alpha / T), T falls from `first` to `last`; out if w_o < share / |O|

    Args:
        share: see above.
        first, last: temperature in the first epoch and after the last.
        warmup: share of the epochs in which only the weights move; the paper's 10 of 50, while the temperature is
            above 1.

    Source: Noy et al. 2019, "ASAP: architecture search, anneal and prune". Its authors released no search; first
        temperature, factor, threshold and the rest above a temperature of 1 are as in an independent implementation
        (UniNAS).
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; temperatures fall
        with the share of the epochs that is over, as in 50 epochs of the paper's factor 0.95; operations leave after
        an epoch, by its own temperature, and not before one; an edge keeps the heaviest operation that is not `none`
        whatever it weighs.
    """
    return replace(
        host, relax=AnnealedSoftmax(first, last), prune=BelowShare(share), schedule=WarmUp(host.schedule, warmup)
    )


@on_darts("order", alpha_lr=BANDIT, over=ROUNDS)
def manas(host: Differentiable) -> Differentiable:
    """MANAS: every edge is an agent, a bandit of EXP3, that draws an operation and blames it for the loss of the path.

    B_o <- B_o + L_val(a) 1[a = o] / pi_o;  pi = softmax(-eta B)

    Args:
        alpha_lr: eta. None: sqrt(2 ln 8 / (8 T)), T the steps of the logits.

    Source: Carlucci et al. 2019, "MANAS: multi-agent neural architecture search", section 5.2.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; the path that is
        blamed is drawn anew, where the paper takes the one that the weights have just learnt on; cells of one type
        share their agents, where the paper's have each its own.
    """
    alphas = replace(host.alphas, update=Exponentiated(), scale=0.0, weight_decay=0.0)
    return replace(host, relax=BinaryGate(), hypergradient=Exp3(), alphas=alphas)


@on_darts("order", over=ROUNDS)
def manas_ls(host: Differentiable) -> Differentiable:
    """MANAS-LS: agents share the loss of paths out among their operations by least squares, and draw by rank.

    B = argmin sum_s (L_val(a_s) - B . z_s)^2;  pi_o = 1 / (rank_o sum_k 1/k), the least B_o first

    Args:
        alpha_lr: means nothing here; there is no rate.

    Source: Carlucci et al. 2019, "MANAS: multi-agent neural architecture search", section 5.1.
    Differs: as `manas` does; of all least-squares solutions the one of least norm; an edge with an operation that was
        never drawn holds it for the best.
    """
    alphas = replace(host.alphas, update=Assigned(), scale=0.0, weight_decay=0.0)
    return replace(host, relax=ByRank(), hypergradient=LinearCredit(), alphas=alphas)


@on_darts(over=97_750)
def setn(host: Differentiable, finalists: int = 100) -> Differentiable:
    """SETN: the weights learn on uniformly drawn paths, the logits on the softmax over all operations; in the end
    paths drawn by the logits are measured, and the best is handed over.

    Args:
        finalists: how many are measured, each on a minibatch of the validation split.

    Source: Dong & Yang 2019, "One-shot neural architecture search via self-evaluated template network"; settings of
        NAS-Bench-201's weight-sharing protocol (Dong & Yang 2020).
    Differs: the finalists are measured once, after the last epoch, and drawn by their probabilities, where the
        released code takes the likeliest after every epoch; only such as the rule of `none` allows.
    """
    return replace(host, relax=Template(), discretise=Finalists(host.discretise, finalists))


@on_darts(over=124_960)
def stacnas(host: Differentiable, like: Sequence[Sequence[str]] = LIKE) -> Differentiable:
    """StacNAS: operations whose outputs are alike share the softmax's mass between them; so one of each group is in a
    first search, and the members of the winning groups in a second. Weights and logits descend one loss together.

    Args:
        like: groups of operations, the one that stands for its group first; others are groups of their own.

    Source: Li et al. 2019, "StacNAS: towards stable and consistent differentiable neural architecture search", and its
        code.
    Differs: settings that are not part of the method are those of `darts`; both stages have the space's own number of
        cells (14 and 20 in the paper); the training split alone is learnt on, not all data; groups are given by name,
        not found by correlation; a group of one competes with `none` alone, where the code has it twice.
    """
    return replace(
        host, schedule=Joint(), hypergradient=JointGradient(), prune=Groups(tuple(tuple(group) for group in like))
    )


@on_darts(alpha_lr=0.1, over=25)
def shapley_nas(host: Differentiable, samples: int = 10, threshold: float = 0.5, warmup: float = 0.5) -> Differentiable:
    """Shapley-NAS: logits move once an epoch, by what operations contribute to the supernet's accuracy.

    Args:
        alpha_lr: of the steps; 0.1 for the 25 of the paper.
        samples: random orders in which operations are taken out.
        threshold: share of the accuracy at which an order ends.
        warmup: share of the epochs in which only the weights move.

    Source: Xiao, Wang, Zhu, Zhou & Lu 2022, "Shapley-NAS: discovering operation contribution for neural architecture
        search", and its code.
    Differs: settings that are not part of the method are those of `darts`; all orders of an epoch are measured on one
        minibatch of `batch_size`, where the code draws one of 1,024 for each; momentum begins at 0, not at noise.
    """
    alphas = replace(host.alphas, update=Exponentiated(), weight_decay=0.0)
    return replace(
        host,
        schedule=WarmUp(OncePerEpoch(), warmup),
        hypergradient=Shapley(samples, threshold),
        alphas=alphas,
    )
