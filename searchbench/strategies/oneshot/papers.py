"""The papers, as compositions of parts."""

from __future__ import annotations

from searchbench.strategies.oneshot.composition import OneShot, Recalibration
from searchbench.strategies.oneshot.evolution import SposEvolution
from searchbench.strategies.oneshot.samplers import Uniform
from searchbench.strategies.oneshot.screening import RandomScreening
from searchbench.strategies.supernet import SupernetTraining


def spos(
    epochs: int | None = None,
    train_share: float = 0.5,
    batch_size: int = 64,
    lr: float = 0.025,
    recalibrate: int = 4,
    population: int = 50,
    generations: int = 20,
) -> OneShot:
    """Train a supernet on one uniformly drawn path per minibatch; then evolve paths by their validation error with
    inherited weights and recalibrated batch norms.

    W = argmin over W of E_{a ~ U} L_train(N(a, W_a));  a* = argmin over a of err_valid(N(a, W_a))

    Args:
        epochs: of the supernet; None takes `train_share` of the budget.
        train_share: the rest is for the evolution.
        batch_size: of training and recalibration.
        lr: at first; falls to 0.001 along a cosine.
        recalibrate: training batches before every score.
        population: paths per generation, half of them mutants and half crossed; the best fifth breeds.
        generations: after the first; fewer where the budget ends before.

    Raises:
        StudyError: a value is out of range.

    Source: Guo et al. 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling", and its code.
    Differs: optimiser settings are NAS-Bench-201's for weight sharing; no constraint on multiply-accumulates; paths
        are uniform, not stratified by them as in the released code.
    """
    half = population // 2
    return OneShot(
        sampler=Uniform(),
        finder=SposEvolution(population, generations, max(1, population // 5), half, half),
        weights=SupernetTraining(epochs=epochs, batch_size=batch_size, lr=lr, lr_final=min(lr, 0.001)),
        train_share=train_share,
        recalibration=Recalibration(recalibrate, batch_size),
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
    )
