"""Counter-based seeds: every random stream of a study is a pure function of what it is for.

``seed(study, replicate, role, key)`` is the first 64 bits of SHA-256 of those four, so no stream depends on
how many numbers another has drawn, on the order of runs, on the process, or on which other strategies take part.
One replicate gives every strategy the same split, the same initial designs and the same evaluation noise for the
same architecture (common random numbers), which is what makes a comparison by seed an honest pairing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from searchbench.errors import StudyError

ROLES = {
    "split": "which samples train and which validate",
    "order": "order of minibatches, and augmentation",
    "supernet": "initial weights of a supernet",
    "init": "initial random designs, the same for every strategy",
    "policy": "initial parameters of a controller, surrogate or architecture distribution",
    "search": "the strategy's own choices",
    "noise": "initial weights and data order of one evaluation, or which recorded repeat a table returns",
    "retrain": "the judge's training",
    "latency": "noise of latency measurements",
}


def seed(study: str, replicate: int, role: str, key: str = "") -> int:
    """The seed of one stream, in [0, 2**64).

    Args:
        study: the study's name.
        replicate: the declared seed of one independent search.
        role: one of `ROLES`.
        key: what within the role: an architecture's key and repeat, an epoch, a strategy's description.

    Raises:
        StudyError: the role is unknown.
    """
    if role not in ROLES:
        raise StudyError(f"a seed's role must be one of {', '.join(ROLES)}, but got {role!r}.")
    digest = hashlib.sha256(f"{study}|{replicate}|{role}|{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def derive(parent: int, key: str) -> int:
    """A child of a seed: the stream `key` within the stream `parent`, in [0, 2**63) so that every library takes it."""
    digest = hashlib.sha256(f"{parent}|{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True, slots=True)
class Seeds:
    """The streams of one replicate, optionally private to one strategy.

    `private` (the strategy's description) enters the key of the roles "search" and "policy" only: those streams are
    the strategy's own, all others are common to every strategy of the replicate.
    """

    study: str
    replicate: int
    private: str = ""

    def seed(self, role: str, key: str = "") -> int:
        """A 64-bit seed for `role` and `key`."""
        if role in ("search", "policy"):
            key = f"{self.private}|{key}"
        return seed(self.study, self.replicate, role, key)

    def rng(self, role: str, key: str = "") -> np.random.Generator:
        """A NumPy generator for `role` and `key`, at its beginning."""
        return np.random.Generator(np.random.PCG64(self.seed(role, key)))

    def python_seed(self, role: str, key: str = "") -> int:
        """A seed that fits libraries which accept 32 bits only."""
        return self.seed(role, key) & 0xFFFF_FFFF

    def torch_seed(self, role: str, key: str = "") -> int:
        """A seed that fits `torch.Generator.manual_seed` (63 bits)."""
        return self.seed(role, key) >> 1
