"""A model of the Lightning kind as an objective: a module says what a step is, a trainer of a few lines does the rest.

With Lightning itself the last lines of `fit` are `Trainer(max_epochs=epochs, …).fit(module, loader, ckpt_path=…)` and
`trainer.callback_metrics["valid_loss"]`.

Run: python examples/module_objective.py [seeds] [epochs of each search]
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import searchbench as sb

IMAGES, LABELS = load_digits(return_X_y=True)
DATA = TensorDataset(torch.tensor(IMAGES, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16, torch.tensor(LABELS))
TRAIN, VALID, TEST = (TensorDataset(*DATA[at]) for at in (slice(0, 1000), slice(1000, 1400), slice(1400, None)))


class Digits(nn.Module):
    """What Lightning calls a LightningModule."""

    def __init__(self, channels: int, dropout: float, lr: float) -> None:
        super().__init__()
        self.lr = lr
        convolutions = [nn.Conv2d(1, channels, 3), nn.ReLU(), nn.Conv2d(channels, channels, 3), nn.ReLU()]
        self.net = nn.Sequential(*convolutions, nn.Flatten(), nn.Dropout(dropout), nn.Linear(16 * channels, 10))

    def training_step(self, batch: Any) -> torch.Tensor:
        inputs, targets = batch
        return nn.functional.cross_entropy(self.net(inputs), targets)

    def accuracy(self, data: TensorDataset) -> float:
        inputs, targets = data.tensors
        return float((self.net(inputs).argmax(1) == targets).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), self.lr)


def fit(module: Digits, epochs: int, seed: int, batch_size: int) -> None:
    """What Lightning calls a Trainer."""
    optimizer, order = module.configure_optimizers(), torch.Generator().manual_seed(seed)
    loader = DataLoader(TRAIN, batch_size, shuffle=True, generator=order)
    module.train()
    for _ in range(epochs):
        for batch in loader:
            optimizer.zero_grad()
            module.training_step(batch).backward()
            optimizer.step()
    module.eval()


def trained(config: dict[str, Any], seed: int, epochs: int) -> Digits:
    """A module trained with a configuration."""
    torch.manual_seed(seed)
    module = Digits(config["channels"], config["dropout"], config["lr"])
    fit(module, epochs, seed, config["batch_size"])
    return module


def validate(config: dict[str, Any], *, seed: int, epochs: int) -> float:
    """What searches see."""
    return trained(config, seed, epochs).accuracy(VALID)


def test(config: dict[str, Any], *, seed: int, epochs: int) -> float:
    """What counts: trained anew on a seed of the judge's, measured on data that no search sees."""
    return trained(config, seed, epochs).accuracy(TEST)


PROBLEM = sb.Objective(
    validate,
    space={
        "lr": sb.Float(1e-4, 1e-1, log=True),
        "channels": sb.Integer(2, 8),
        "dropout": sb.Float(0, 0.5),
        "batch_size": sb.Choice([50, 100]),
    },
    metric="accuracy",
    better="higher",
    share=True,
    test=test,
    epochs=4,
    label="digits module",
)


def study(seeds: int = 5, epochs: float = 80) -> sb.Study:
    """What is compared."""
    return sb.Study("module", PROBLEM, ["random", "gp", "hyperband"], seeds, sb.Budget(epochs=epochs))


if __name__ == "__main__":
    print(sb.run(study(*map(int, sys.argv[1:]))))
