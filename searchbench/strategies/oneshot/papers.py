"""The papers, as compositions of parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from searchbench.estimators.estimator import InheritedScore
from searchbench.strategies.nsga2 import Nsga2
from searchbench.strategies.oneshot.bounded import Bounded
from searchbench.strategies.oneshot.composition import OneShot, Recalibration, Split
from searchbench.strategies.oneshot.continuous import ContinuousEvolution, Protection
from searchbench.strategies.oneshot.evolution import SposEvolution
from searchbench.strategies.oneshot.posterior import PartialPaths
from searchbench.strategies.oneshot.preferred import Preferred
from searchbench.strategies.oneshot.revising import KeptPaths
from searchbench.strategies.oneshot.samplers import (
    Attentive,
    MacsStratified,
    PathDropout,
    Sandwich,
    StrictFair,
    Successive,
    Uniform,
    UniformNumbers,
)
from searchbench.strategies.oneshot.screening import RandomScreening
from searchbench.strategies.oneshot.shrinking import ProgressiveShrinking
from searchbench.strategies.oneshot.teaching import InPlaceDistillation, KeptTeacher
from searchbench.strategies.random import Random
from searchbench.strategies.supernet import SupernetTraining


def spos(
    epochs: int | None = None,
    train_share: float = 0.5,
    batch_size: int = 64,
    lr: float = 0.025,
    recalibrate: int = 4,
    population: int = 50,
    generations: int = 20,
    score: InheritedScore | None = None,
) -> OneShot:
    """Train a supernet on one uniformly drawn path per minibatch; then evolve paths by their validation error, or loss
    where labels are few, with inherited weights and recalibrated batch norms.

    W = argmin over W of E_{a ~ U} L_train(N(a, W_a));  a* = argmin over a of err_valid(N(a, W_a))

    Args:
        epochs: of the supernet; None takes `train_share` of the budget.
        train_share: the rest is for the evolution.
        batch_size: of training and recalibration.
        lr: at first; falls to 0.001 along a cosine.
        recalibrate: training batches before every score.
        population: paths per generation, half of them mutants and half crossed; the best fifth breeds.
        generations: after the first; fewer where the budget ends before.
        score: what a path is scored by, "loss" or "error"; None: the loss where labels are few, see `SharedWeights`.

    Raises:
        StudyError: a value is out of range.

    Source: Guo et al. 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling", and its code.
    Differs: optimiser settings are NAS-Bench-201's for weight sharing; paths are uniform, not stratified by
        multiply-accumulates as in the released code (`spos-stratified` has that); paths are scored by their loss where
        there are fewer than 5,000 labels, by their error elsewhere, as in the paper.
    """
    half = population // 2
    return OneShot(
        sampler=Uniform(),
        finder=SposEvolution(population, generations, max(1, population // 5), half, half),
        weights=SupernetTraining(epochs=epochs, batch_size=batch_size, lr=lr, lr_final=min(lr, 0.001)),
        train_share=train_share,
        recalibration=Recalibration(recalibrate, batch_size),
        score=score,
    )


def spos_stratified(epochs: int | None = None, train_share: float = 0.5, bins: int = 7) -> OneShot:
    """SPOS with the released code's sampling: paths stratified by multiply-accumulates, see `MacsStratified`.

    Args:
        bins: strata.

    Source: the released code of Guo et al. 2020.
    Differs: as `spos`; the strata span the space's own range.
    """
    host = spos(epochs, train_share)
    return replace(host, sampler=MacsStratified(bins))


def spos_random(epochs: int | None = None, train_share: float = 0.5, scores: int = 1050) -> OneShot:
    """The control of SPOS: the same supernet, as many legal paths scored, drawn at random.

    Args:
        scores: paths; SPOS scores 50 + 20 x 50.

    Source: Guo et al. 2020, section 4 ("random search" on the same supernet).
    Differs: as `spos`.
    """
    host = spos(epochs, train_share)
    return replace(host, finder=RandomScreening(candidates=scores, screen=1.0, finalists=1))


def fairnas(
    epochs: int | None = None,
    train_share: float = 0.5,
    batch_size: int = 64,
    lr: float = 0.025,
    recalibrate: int = 4,
    population: int = 70,
    generations: int = 200,
    score: InheritedScore | None = None,
) -> OneShot:
    """Train every option of every decision once per update, on paths of permuted options; then search by NSGA-II for
    paths of low validation error, few multiply-accumulates and many parameters.

    w <- w - lr sum_k grad L(N(path k), minibatch k), k = 1 … m, see `StrictFair`

    Args:
        epochs: of the supernet; None takes `train_share` of the budget.
        train_share: the rest is for the search.
        batch_size: of training and recalibration; an update takes m such batches.
        lr: of the *sum* of the m gradients, at first; falls to 0.001 along a cosine.
        recalibrate: training batches before every score.
        population, generations: of NSGA-II; fewer generations where the budget ends before.
        score: what a path is scored by, "loss" or "error"; None: the loss where labels are few, see `SharedWeights`.

    Raises:
        StudyError: a value is out of range.

    Source: Chu, Zhang & Xu 2021, "FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture
        Search", Algorithms 1 and 2.
    Differs: optimiser settings are NAS-Bench-201's for weight sharing, the norm of the summed gradient is clipped;
        batch norms are recalibrated before every score, as in SPOS; of the front, the path of least validation error
        is handed over.
    """
    return OneShot(
        sampler=StrictFair(),
        finder=Bounded(Nsga2(("value", "macs", "-params"), population), population * (1 + generations)),
        weights=SupernetTraining(epochs=epochs, batch_size=batch_size, lr=lr, lr_final=min(lr, 0.001)),
        train_share=train_share,
        recalibration=Recalibration(recalibrate, batch_size),
        score=score,
    )


def expectation_fair(
    epochs: int | None = None, train_share: float = 0.5, batch_size: int = 64, lr: float = 0.025
) -> OneShot:
    """FairNAS's ablation: the same permuted paths with an update after each, so that counts agree only after every
    m-th update and the order of the options within a round matters.

    Args:
        lr: of every update; an m-th of FairNAS's makes the sum of a round's steps like its one step.

    Source: Chu, Zhang & Xu 2021, section 5 (six successive updates; also at a sixth of the rate).
    Differs: as `fairnas`. Paths drawn independently with an update after each would be `spos`'s training.
    """
    return replace(fairnas(epochs, train_share, batch_size, lr), grouping=Successive())


def one_shot(
    epochs: int | None = None,
    train_share: float = 0.4,
    batch_size: int = 64,
    lr: float = 0.025,
    rate: float = 0.05,
    scores: int = 20_000,
    retrain: int = 10,
    score: InheritedScore | None = None,
) -> OneShot:
    """Train the sum of all operations with some paths dropped; score random architectures with all other operations
    zeroed; train the best from scratch and hand over the best of those.

    Args:
        epochs: of the supernet; None takes `train_share` of the budget.
        train_share: the rest is for scores and retraining.
        batch_size: of training.
        lr: at first; falls to 0.001 along a cosine.
        rate: probability, at the end, that all paths of a decision are dropped, see `PathDropout`.
        scores: random architectures; fewer where the budget ends before.
        retrain: best scored, evaluated in full by the problem's estimator; their price is kept back from the scores.
        score: what a path is scored by, "loss" or "error"; None: the loss where labels are few, see `SharedWeights`.

    Raises:
        StudyError: a value is out of range.

    Source: Bender et al. 2018, "Understanding and Simplifying One-Shot Architecture Search".
    Differs: optimiser settings are NAS-Bench-201's for weight sharing; batch norms see the whole minibatch, not ghost
        batches of 32; scores are on the whole validation split.
    """
    return OneShot(
        sampler=PathDropout(rate),
        finder=Bounded(Random(), scores),
        weights=SupernetTraining(epochs=epochs, batch_size=batch_size, lr=lr, lr_final=min(lr, 0.001)),
        train_share=train_share,
        recalibration=Recalibration(None, batch_size),
        retrain=retrain,
        score=score,
    )


def random_sharing(
    epochs: int | None = None,
    train_share: float = 0.5,
    batch_size: int = 64,
    lr: float = 0.025,
    recalibrate: int = 4,
    candidates: int = 1000,
    screen: float = 0.25,
    finalists: int = 10,
    score: InheritedScore | None = None,
) -> OneShot:
    """Train a supernet on one uniformly drawn path per minibatch; then score random paths by inherited weights on a
    part of the validation split, the best of them again on all of it, and hand over the best.

    Args:
        epochs: of the supernet; None takes `train_share` of the budget.
        train_share: the rest is for the choice.
        batch_size: of training and recalibration.
        lr: at first; falls to 0.001 along a cosine.
        recalibrate: training batches before every score.
        candidates, screen, finalists: see `RandomScreening`.
        score: what a path is scored by, "loss" or "error"; None: the loss where labels are few, see `SharedWeights`.

    Raises:
        StudyError: a value is out of range.

    Source: Li & Talwalkar 2019, "Random Search and Reproducibility for Neural Architecture Search"; training settings
        of NAS-Bench-201 (Dong & Yang 2020).
    Differs: batch norms are recalibrated before every score, as in SPOS (the original scores with the statistics of
        the minibatch); one round of candidates.
    """
    return OneShot(
        sampler=Uniform(),
        finder=RandomScreening(candidates, screen, finalists),
        weights=SupernetTraining(epochs=epochs, batch_size=batch_size, lr=lr, lr_final=min(lr, 0.001)),
        train_share=train_share,
        recalibration=Recalibration(recalibrate, batch_size),
        score=score,
    )


def bignas(
    epochs: int | None = None,
    train_share: float = 0.5,
    batch_size: int = 64,
    lr: float = 0.025,
    paths: int = 2,
    recalibrate: int = 4,
    population: int = 50,
    generations: int = 20,
    score: InheritedScore | None = None,
) -> OneShot:
    """Train the largest, the smallest and some random paths on every minibatch; the largest learns the labels, the
    others learn from it. Then evolve paths by inherited weights.

    g = grad L(largest) + sum_k grad -sum_c p_c log softmax(z_k)_c, p the largest's softmax, see `InPlaceDistillation`

    Args:
        epochs: of the supernet; None takes `train_share` of the budget.
        train_share: the rest is for the evolution.
        batch_size: of training and recalibration.
        lr: of the *sum* of the gradients, at first; falls to 0.001 along a cosine.
        paths: random ones, besides the largest and the smallest.
        recalibrate: training batches before every score.
        population, generations, score: as in `spos`.

    Raises:
        StudyError: a value is out of range.

    Source: Yu et al. 2020, "BigNAS: scaling up neural architecture search with big single-stage models", section 3:
        sandwich rule and in-place distillation.
    Differs: optimiser settings are NAS-Bench-201's for weight sharing; no dropout for the largest, no exponential rate;
        evolution instead of the coarse-to-fine choice; batch norms are recalibrated.
    """
    host = spos(epochs, train_share, batch_size, lr, recalibrate, population, generations, score)
    return replace(host, sampler=Sandwich(paths), teaching=InPlaceDistillation())


def attentive_nas(
    epochs: int | None = None,
    train_share: float = 0.5,
    batch_size: int = 64,
    lr: float = 0.025,
    paths: int = 2,
    candidates: int = 3,
    best: bool = True,
) -> OneShot:
    """BigNAS whose random paths are chosen: of some of alike cost the one that does best on the next minibatch, or the
    one that does worst.

    Args:
        epochs, train_share, batch_size, lr, paths: as in `bignas`.
        candidates: for each path.
        best: whether the best is trained (best-up) or the worst (worst-up).

    Raises:
        StudyError: a value is out of range.

    Source: Wang et al. 2021, "AttentiveNAS: improving neural architecture search via attentive sampling".
    Differs: as `bignas`; see `Attentive`.
    """
    host = bignas(epochs, train_share, batch_size, lr, paths)
    return replace(host, sampler=Attentive(candidates, best, paths))


def few_shot(
    epochs: int | None = None,
    train_share: float = 0.5,
    batch_size: int = 64,
    lr: float = 0.025,
    decisions: Sequence[int] = (0,),
    after: float = 0.5,
    recalibrate: int = 4,
    population: int = 50,
    generations: int = 20,
    score: InheritedScore | None = None,
) -> OneShot:
    """Train one supernet, then copies of it, one for each option of a decision, on the paths that take it: weights are
    shared among fewer architectures, and still inherited. Then evolve paths, each scored by its own supernet.

    Args:
        epochs, train_share, batch_size, lr, recalibrate, population, generations, score: as in `spos`.
        decisions: by which it is split; several of them give a supernet for each combination (K-shot).
        after: share of the epochs after which it is split.

    Raises:
        StudyError: a value is out of range.

    Source: Zhao et al. 2021, "Few-shot neural architecture search"; its sub-supernets on NAS-Bench-201 are those of one
        edge.
    Differs: as `spos`; sub-supernets learn in the same minibatches, each from those whose path is its own, at the rate
        of the moment, so that the training costs what one supernet's does; which decisions is a parameter (there:
        drawn).
    """
    host = spos(epochs, train_share, batch_size, lr, recalibrate, population, generations, score)
    return replace(host, split=Split(tuple(decisions), after))


def once_for_all(
    epochs: int | None = None,
    train_share: float = 0.8,
    batch_size: int = 64,
    lr: float = 0.025,
    distillation: float = 1.0,
    recalibrate: int = 4,
    population: int = 50,
    generations: int = 20,
    score: InheritedScore | None = None,
) -> OneShot:
    """Train the largest network of a space whose kernels, depths and widths are cut from one, then ever smaller ones
    beside it, taught by the largest as it was; then evolve paths by inherited weights.

    see `ProgressiveShrinking` and `KeptTeacher`

    Args:
        epochs, train_share, batch_size, lr, recalibrate, population, generations, score: as in `spos`.
        distillation: weight of what the teacher says, beside the labels.

    Raises:
        StudyError: a value is out of range.

    Source: Cai et al. 2020, "Once-for-all: train one network and specialize it for efficient deployment", and its code.
    Differs: optimiser settings are NAS-Bench-201's for weight sharing, the norm of the summed gradient is clipped;
        evolution by scores, where the code evolves by a predictor of accuracy; images keep their size.
    """
    host = spos(epochs, train_share, batch_size, lr, recalibrate, population, generations, score)
    return replace(host, sampler=ProgressiveShrinking(), teaching=KeptTeacher(distillation))


def mixpath(
    epochs: int | None = None,
    train_share: float = 0.5,
    batch_size: int = 64,
    lr: float = 0.025,
    recalibrate: int = 4,
    population: int = 70,
    generations: int = 200,
    score: InheritedScore | None = None,
) -> OneShot:
    """Train a supernet some of whose kernels are active at a time, first as many as were drawn, then which; then search
    by NSGA-II for low validation error, few multiply-accumulates and many parameters.

    Args:
        epochs, train_share, batch_size, lr, recalibrate, population, generations, score: as in `fairnas`.

    Raises:
        StudyError: a value is out of range.

    Source: Chu et al. 2023, "MixPath: a unified approach for one-shot neural architecture search"; the shadow batch
        norms are the space's, `mixpath`.
    Differs: as `fairnas`, with one path an update; the released search weighs its objectives.
    """
    return replace(
        fairnas(epochs, train_share, batch_size, lr, recalibrate, population, generations, score),
        sampler=UniformNumbers(),
    )


def prenas(
    epochs: int | None = None,
    train_share: float = 0.9,
    batch_size: int = 64,
    lr: float = 0.025,
    candidates: int = 100,
    strata: int = 5,
    each: int = 1,
    recalibrate: int = 4,
    score: InheritedScore | None = None,
) -> OneShot:
    """Choose paths by a zero-cost score of the untrained supernet, a few of every size; train those alone; hand over
    the best of them by inherited weights.

    Args:
        epochs, train_share, batch_size, lr, recalibrate, score: as in `spos`.
        candidates, strata, each: see `Preferred`.

    Raises:
        StudyError: a value is out of range.

    Source: Wang et al. 2023, "PreNAS: preferred one-shot learning towards efficient neural architecture search".
    Differs: as `Preferred`; networks are convolutional, without the paper's transformers.
    """
    host = spos(epochs, train_share, batch_size, lr, recalibrate, score=score)
    return replace(host, sampler=Preferred(candidates, strata, each), finder=KeptPaths())


def cars(
    epochs: int | None = None,
    train_share: float = 0.95,
    batch_size: int = 64,
    lr: float = 0.025,
    population: int = 16,
    offspring: int = 1,
    every: int = 1,
    warmup: float = 0.1,
    recalibrate: int = 1,
    score: InheritedScore | None = None,
    protects: Protection = "gain",
) -> OneShot:
    """Evolve a population by inherited weights while the supernet is trained on it, with protection of what still
    learns; hand over the best of the last population.

    Args:
        epochs, train_share, batch_size, lr, recalibrate, score: as in `spos`; the share is of training and evolution.
        population, offspring, every, warmup, protects: see `ContinuousEvolution`.

    Raises:
        StudyError: a value is out of range.

    Source: Yang et al. 2020, "CARS: continuous evolution for efficient neural architecture search".
    Differs: as `ContinuousEvolution`; optimiser settings are NAS-Bench-201's for weight sharing.
    """
    host = spos(epochs, train_share, batch_size, lr, recalibrate, score=score)
    sampler = ContinuousEvolution(population, offspring, every, warmup, protects)
    return replace(host, sampler=sampler, finder=KeptPaths())


def pcnas(
    epochs: int | None = None,
    train_share: float = 0.95,
    batch_size: int = 64,
    lr: float = 0.025,
    pool: int = 5,
    samples: int = 4,
    warmup: float = 0.3,
    recalibrate: int = 1,
    score: InheritedScore | None = None,
) -> OneShot:
    """Decide layer after layer while the supernet is trained, keeping a pool of beginnings by what paths that begin so
    are worth; hand over the best of the last pool.

    Args:
        epochs, train_share, batch_size, lr, recalibrate, score: as in `spos`; the share is of training and decisions.
        pool, samples, warmup: see `PartialPaths`.

    Raises:
        StudyError: a value is out of range.

    Source: Li et al. 2020, "Improving one-shot NAS by suppressing the posterior fading" (PC-NAS).
    Differs: as `PartialPaths`; the best of the pool is handed over by inherited weights, where the paper trains the
        pool from scratch and compares.
    """
    host = spos(epochs, train_share, batch_size, lr, recalibrate, score=score)
    return replace(host, sampler=PartialPaths(pool, samples, warmup), finder=KeptPaths())
