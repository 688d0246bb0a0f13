"""Every differentiable method takes its steps on one small space, forward and backward; a program by itself."""

from __future__ import annotations

import sys

import numpy as np
import torch

from searchbench.cost import Budget
from searchbench.estimators.batches import Batches
from searchbench.estimators.bench import Bench
from searchbench.estimators.train import Train
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.strategies import STRATEGIES
from searchbench.strategies.differentiable import Differentiable
from searchbench.strategies.differentiable.papers_recurrent import recurrent
from searchbench.strategies.strategy import Scenario
from searchbench.tasks.task import Split
from searchbench.tasks.text import descriptions

CELLS = {"channels": 8, "cells": 3}
SMALL = {
    "nasbench201": {"channels": 4, "cells": 1, "stages": 2},
    **dict.fromkeys(("darts", "darts-s1", "darts-s2", "darts-s3", "darts-s4", "darts-nasp"), CELLS),
    "shuffle": {"stem": 4, "channels": (8, 12), "layers": (1, 1), "last": 8, "stem_stride": 1},
    "mobile-fairnas": {"stem": 4, "first": 4, "channels": (4, 6), "layers": (1, 1), "strides": (2, 1), "last": 8},
    "mobile-proxyless": {"stem": 4, "first": 4, "channels": (4, 6), "layers": (1, 2), "strides": (2, 1), "last": 8},
    "fbnet": {"stem": 4, "channels": (4, 6), "layers": (1, 2), "strides": (2, 1), "last": 8},
    "mobile-superkernel": {"stem": 4, "first": 4, "channels": (4, 6), "layers": (1, 2), "strides": (2, 1), "last": 8},
    "mobile-scarlet": {"stem": 4, "first": 4, "channels": (4, 6), "layers": (1, 2), "strides": (2, 1), "last": 8},
    "mixnet": {
        "kernels": (3, 5),
        "stem": 4,
        "first": 4,
        "channels": (4, 6),
        "layers": (1, 1),
        "strides": (2, 1),
        "squeezes": (0.0, 0.5),
        "last": 8,
    },
    "mixpath": {"kernels": (3, 5), "stem": 4, "channels": (4, 6), "layers": (1, 1), "strides": (2, 1), "last": 8},
    "densenas": {"stem": 4, "first": 4, "widths": ((4, 6), (6, 8)), "strides": (2, 1), "layers": 2, "last": 8},
    "macro": {"stem": 4, "layers": (1, 1), "last": 8},
    "darts-rnn": {"nodes": 3, "units": 8, "network_units": 8},
}
"""Narrow on purpose: with fewer than 8 channels PyTorch takes other ways."""
FEWER = {"darts-s1": (1,), "darts-s2": (1,), "darts-s3": (2, 1), "darts-s4": (1,), "darts-rnn": (3, 1), "macro": (2, 1)}
"""What P-DARTS keeps where there are few operations."""


RELEASED = {"gdas": {"gradient": "all"}, "proxyless": {"zero": "skips"}, "darts-admm": {"power": 1}}
"""Methods whose released code has another form, and the option that gives it."""


def methods(space_name):
    """Names of every registered differentiable method, with its description; and of released forms."""
    for name, option in RELEASED.items():
        yield f"{name} as released", STRATEGIES.factory(name)(epochs=2, batch_size=8, **option)
    for name in STRATEGIES.builtin:
        make = STRATEGIES.factory(name)
        own = {"keep": FEWER.get(space_name, (3, 2, 1))} if name == "p-darts" else {}
        try:
            found = make(epochs=2, batch_size=8, **own)
        except TypeError:
            continue  # takes other settings: no method of this family
        if isinstance(found, Differentiable):
            yield name, found


def images(seed):
    rng = np.random.default_rng(seed)
    return Split(rng.normal(size=(16, 1, 8, 8)).astype(np.float32), rng.integers(3, size=16))


def lab_over(space):
    """A metered lab with two minibatches an epoch."""
    scenario = Scenario(space, Seeds("alone", 0, "tiny"), Budget(epochs=1000), trains=True)
    if space.reads == "text":
        task = descriptions(tokens=400, measured=200, vocabulary=30, epochs=1, columns=4, lr=1.0)
        estimator = Train(device="cpu").open(space, task, Seeds("alone", 0))
        return MeteredLab(scenario, estimator, "charge", estimator.bench())
    bench = Bench(
        networks=space.builder(),
        train=Batches(images(1)),
        valid=Batches(images(2)),
        shape=(1, 8, 8),
        classes=3,
        augment=(),
        bn_momentum=0.1,
        device=torch.device("cpu"),
    )
    return MeteredLab(scenario, None, "charge", bench)


def main(space_name, *only):
    space = SPACES.factory(space_name)(**SMALL[space_name])
    ran = 0
    for name, strategy in methods(space_name):
        if only and name not in only:
            continue
        metered = lab_over(space)
        told = recurrent(strategy, epochs=2, batch_size=8, lr=1.0) if space.reads == "text" else strategy
        reason = told.unsupported(metered.scenario)
        if reason is not None:
            print(f"{name}: {reason}", flush=True)
            continue
        print(f"{name} …", flush=True)
        drive(told.start(metered.scenario), metered)
        assert space.carrying(metered.final.architecture), name
        ran += 1
    print(f"{ran} methods ran")


if __name__ == "__main__":
    main(*sys.argv[1:])
