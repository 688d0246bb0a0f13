"""A real metered lab over a small synthetic task, for tests of searches that train a supernet."""

from __future__ import annotations

import numpy as np
import torch

from searchbench.cost import Budget
from searchbench.estimators.batches import Batches
from searchbench.estimators.bench import Bench
from searchbench.harness.running.lab import MeteredLab
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies.strategy import Scenario
from searchbench.tasks.task import Split

SPACE = nasbench201(channels=3, cells=1, stages=1)
SHAPE, CLASSES, TRAIN, VALID = (1, 5, 5), 3, 40, 24


def scenario(budget=None, space=SPACE, trains=True, replicate=0):
    return Scenario(space, Seeds("test", replicate, "tiny"), budget or Budget(epochs=1000), trains=trains)


def split(samples, seed):
    """Three classes that differ in the brightness of one row."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(CLASSES, size=samples)
    inputs = rng.normal(size=(samples, *SHAPE)).astype(np.float32)
    inputs[np.arange(samples), 0, targets] += 1.5
    return Split(inputs, targets)


def lab(budget=None, replicate=0, space=SPACE):
    """A lab whose data, weights and orders are a function of `replicate`."""
    told = scenario(budget, space, replicate=replicate)
    bench = Bench(
        networks=SPACE.builder(),
        train=Batches(split(TRAIN, 10 * replicate + 1)),
        valid=Batches(split(VALID, 10 * replicate + 2)),
        shape=SHAPE,
        classes=CLASSES,
        augment=(),
        bn_momentum=0.1,
        device=torch.device("cpu"),
    )
    return MeteredLab(told, estimator=None, duplicates="charge", bench=bench)
