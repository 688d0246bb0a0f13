"""The lab that benchmarks of steps search in: random images, no budget to speak of."""

from __future__ import annotations

import numpy as np
import torch

from searchbench.cost import Budget
from searchbench.estimators.batches import Batches
from searchbench.estimators.bench import Bench
from searchbench.estimators.graphs import Graphs
from searchbench.harness.running.lab import MeteredLab
from searchbench.seeds import Seeds
from searchbench.spaces.space import Space
from searchbench.strategies.strategy import Scenario
from searchbench.tasks.task import Split


def lab(
    space: Space, samples: int, side: int = 32, device: str = "cpu", precision: str = "fp32", recorded: bool = True
) -> MeteredLab:
    """A lab over `samples` random images to train and as many to validate; `recorded`: see `estimators/graphs.py`."""
    rng, where, shape = np.random.default_rng(0), torch.device(device), (3, side, side)

    def images() -> Batches:
        return Batches(
            Split(rng.normal(size=(samples, *shape)).astype(np.float32), rng.integers(10, size=samples)), where
        )

    graphs = Graphs() if recorded else Graphs(after=None)
    bench = Bench(space.builder(), images(), images(), shape, 10, (), 0.1, where, precision, graphs)
    scenario = Scenario(space, Seeds("speed", 0, "me"), Budget(epochs=1e6), trains=True)
    return MeteredLab(scenario, estimator=None, duplicates="charge", bench=bench)  # type: ignore[arg-type]
