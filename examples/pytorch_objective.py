"""A plain PyTorch loop as an objective: a small network on scikit-learn's digits, trained for `epochs` epochs.

It takes a checkpoint folder, so that hyperband and BOHB go on from a shorter training and pay for the rest only.

Run: python examples/pytorch_objective.py [seeds] [epochs of each search]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn

import searchbench as sb

IMAGES, LABELS = load_digits(return_X_y=True)
INPUTS, TARGETS = torch.tensor(IMAGES, dtype=torch.float32) / 16, torch.tensor(LABELS)
TRAIN, VALID, TEST = slice(0, 1000), slice(1000, 1400), slice(1400, None)


def train(config: dict[str, Any], *, seed: int, epochs: int, checkpoint: Path) -> dict[str, float]:
    """Train on, from where the checkpoint ends; validation loss, and what only the judge reads: the test loss."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = [nn.Linear(64, config["units"]), nn.ReLU()]
    for _ in range(config["layers"] - 1):
        layers += [nn.Linear(config["units"], config["units"]), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(config["units"], 10))
    if config["optimizer"] == "sgd":
        optimizer: Any = torch.optim.SGD(model.parameters(), config["lr"], momentum=config["momentum"])
    else:
        optimizer = torch.optim.Adam(model.parameters(), config["lr"])
    done, file = 0, checkpoint / "state.pt"
    if file.exists():
        state = torch.load(file, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["epochs"]
    for epoch in range(done, epochs):
        order = torch.randperm(1000, generator=torch.Generator().manual_seed(seed + epoch))
        for batch in order.split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(INPUTS[TRAIN][batch]), TARGETS[TRAIN][batch]).backward()
            optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epochs": epochs}, file)
    return {"loss": measure(model, VALID), "test": measure(model, TEST)}


@torch.no_grad()
def measure(model: nn.Module, part: slice) -> float:
    """Cross-entropy on a part of the data."""
    return float(nn.functional.cross_entropy(model(INPUTS[part]), TARGETS[part]))


PROBLEM = sb.Objective(
    train,
    space={
        "lr": sb.Float(1e-4, 1, log=True),
        "layers": sb.Integer(1, 3),
        "units": sb.Integer(8, 64, log=True),
        "optimizer": sb.Choice(["sgd", "adam"]),
        "momentum": sb.Float(0, 0.99, when=sb.When("optimizer", "sgd")),
    },
    metric="cross-entropy",
    unit="nats",
    epochs=9,
)


def study(seeds: int = 5, epochs: float = 200) -> sb.Study:
    """What is compared."""
    return sb.Study("pytorch", PROBLEM, ["random", "optuna:tpe", "hyperband", "bohb"], seeds, sb.Budget(epochs=epochs))


if __name__ == "__main__":
    print(sb.run(study(*map(int, sys.argv[1:]))))
