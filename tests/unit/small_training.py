"""What tests of networks share: a few digits, and one step of training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from searchbench.spaces.networks import initialise


def digits(number=32):
    """The first images of the digits, [number, 1, 8, 8] in [0, 1], and their classes."""
    data = load_digits()
    inputs = torch.tensor(data.images[:number], dtype=torch.float32).unsqueeze(1) / 16
    return inputs, torch.tensor(data.target[:number])


def losses(network, steps=15, lr=0.1, seed=0, forward=None):
    """Training losses of a network given on the meta device, over a few steps on the same digits."""
    network = initialise(network, seed).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)
    inputs, targets = digits()
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(inputs) if forward is None else forward(network, inputs), targets)
        loss.backward()
        optimizer.step()
        found.append(float(loss.detach()))
    return found
