"""A task: a data set, its declared split, and the recipe networks are trained on it by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from searchbench.errors import StudyError, did_you_mean
from searchbench.seeds import Seeds

if TYPE_CHECKING:
    import torch

AUGMENTATIONS = ("crop", "flip", "cutout")
"""Names a recipe may use; `searchbench.estimators.augment` does them."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained on a task: SGD with Nesterov momentum and a cosine schedule to `lr_final`.

    Raises:
        StudyError: a value is out of range.
    """

    epochs: int
    batch_size: int
    lr: float
    """Learning rate of the first epoch."""
    lr_final: float = 0.0
    """Where the cosine ends: what the epoch after the last would have."""
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    bn_momentum: float = 0.1
    """Weight of the newest batch in batch-norm statistics."""
    clip: float | None = None
    """Largest norm of the gradient over all weights; None leaves it alone."""
    label_smoothing: float = 0.0
    augment: tuple[str, ...] = ()
    """Names of augmentations, in order: "crop" (pad by an eighth and crop), "flip", "cutout"."""
    auxiliary: float = 0.0
    """Weight of the loss of an auxiliary classifier, which is not there when the network is measured; 0: none."""
    drop_path: float = 0.0
    """The probability with which an operation's output is dropped, per sample, grows from 0 towards this."""
    drop_edge: float = 0.0
    """Probability, for each minibatch, of leaving out one edge of a wired network, drawn among those into nodes that
    several enter."""
    average_after: int | None = None
    """From the epoch whose validation value is above the least of those more than so many epochs older, the weights
    that are measured are the mean of all that follow (NT-ASGD); None: never."""
    keep_best: bool = False
    """Hand over the network of the epoch with the least validation value, and go on from there when a loss is no longer
    finite; otherwise that of the last epoch."""

    def __post_init__(self) -> None:
        window = {} if self.average_after is None else {"average_after": 0}
        for name, least in ({"epochs": 1, "batch_size": 1} | window).items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                kind = "a positive integer" if least else "0 or a positive integer"
                raise StudyError(f"a recipe's `{name}` must be {kind}, but got {value!r}.")
        for name in ("lr",) if self.clip is None else ("lr", "clip"):
            if not (_real(getattr(self, name)) and getattr(self, name) > 0):
                raise StudyError(f"a recipe's `{name}` must be a positive number, but got {getattr(self, name)!r}.")
        for name in ("lr_final", "weight_decay", "auxiliary"):
            if not (_real(getattr(self, name)) and getattr(self, name) >= 0):
                raise StudyError(f"a recipe's `{name}` must not be negative, but got {getattr(self, name)!r}.")
        for name in ("momentum", "bn_momentum", "label_smoothing", "drop_path", "drop_edge"):
            if not (_real(getattr(self, name)) and 0 <= getattr(self, name) <= 1):
                raise StudyError(f"a recipe's `{name}` must lie in [0, 1], but got {getattr(self, name)!r}.")
        if self.drop_path == 1:
            raise StudyError("a recipe's `drop_path` must be below 1: nothing would ever pass.")
        if self.nesterov and self.momentum == 0:
            raise StudyError("Nesterov needs momentum, but got momentum=0; set nesterov = false as well.")
        for name in self.augment:
            if name not in AUGMENTATIONS:
                raise StudyError(f"unknown augmentation `{name}`; {did_you_mean(str(name), AUGMENTATIONS)}")

    @property
    def validates(self) -> bool:
        """Whether training decides anything by the validation value of its epochs."""
        return self.keep_best or self.average_after is not None


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Samples(Protocol):
    """Images that are kept as bytes, and read where they are wanted."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples, channels, height, width."""

    @property
    def levels(self) -> npt.NDArray[np.float32]:
        """[C, 256]: the normalised value of each byte."""

    @property
    def held(self) -> bool:
        """Whether they lie decoded in memory or in a file, so that all of them may as well be taken."""

    def blocks(self, orders: Iterable[npt.NDArray[np.intp]]) -> Iterator[npt.NDArray[np.uint8]]:
        """Bytes [B, C, H, W] of every order of sample numbers, in turn; later ones may be read ahead."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Labelled samples: `inputs` [N, C, H, W] float32, normalised; `targets` [N] int64."""

    inputs: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        _check_lengths(len(self.inputs), len(self.targets))

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, slots=True, eq=False)
class StoredSplit:
    """A `Split` whose images stay bytes, and are read where they are wanted."""

    samples: Samples
    targets: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        _check_lengths(self.samples.shape[0], len(self.targets))

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def inputs(self) -> npt.NDArray[np.float32]:
        """[N, C, H, W] float32, normalised: all of it, made anew at every call."""
        found, starts = np.empty(self.samples.shape, dtype=np.float32), range(0, len(self), READ)
        orders = (np.arange(low, min(low + READ, len(self))) for low in starts)
        for low, block in zip(starts, self.samples.blocks(orders), strict=True):
            found[low : low + len(block)] = normalised(block, self.samples.levels)
        return found


def _check_lengths(inputs: int, targets: int) -> None:
    if inputs != targets:
        raise ValueError(f"inputs and targets differ in length: {inputs} and {targets}.")


ImageSplit = Split | StoredSplit
READ = 1024
"""Samples that are read at once where all are."""


def normalised(block: npt.NDArray[np.uint8], levels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Values [B, C, H, W] of bytes of that shape by the levels [C, 256] of each channel."""
    found = np.empty(block.shape, dtype=np.float32)
    for channel, level in enumerate(levels):
        found[:, channel] = level[block[:, channel]]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """A text: numbers of its tokens [N] int64, and how it is cut."""

    tokens: npt.NDArray[np.int64]
    bptt: int
    """Usual length of a passage through which gradients flow."""
    deviation: float
    """Standard deviation of that length."""
    columns: int
    """Streams in which it is measured."""
    halved: float
    """Probability of a passage of half the length."""

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A minibatch on the run's device; its length is its number of samples."""

    inputs: Any
    """Images [B, C, H, W], or a passage of text, see `searchbench.spaces.recurrent.networks.Passage`."""
    targets: torch.Tensor
    """[B] classes; the token behind each."""
    rate: float = 1.0
    """Factor of the learning rate: the length of a passage over the usual one."""

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, slots=True, eq=False)
class SearchData:
    """All the data a search may touch. It has no test split and no way to one."""

    train: ImageSplit | Tokens
    valid: ImageSplit | Tokens
    classes: int


@dataclass(frozen=True, slots=True, eq=False)
class JudgeData:
    """What the judge trains on (train and valid together, or train alone) and measures on."""

    train: ImageSplit | Tokens
    test: ImageSplit | Tokens
    classes: int
    valid: ImageSplit | Tokens | None = None
    """What a recipe decides by that validates; None where it is part of `train`."""


@runtime_checkable
class Task(Protocol):
    """A frozen description of a task; data is read only when one of the two methods is called."""

    @property
    def name(self) -> str: ...
    @property
    def recipe(self) -> Recipe:
        """The task's own recipe; an estimator or judge may override parts of it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height, width of one image; empty for a token of text."""

    @property
    def classes(self) -> int: ...

    def checksum(self) -> str:
        """SHA-256 of the data and of the declared split rule; part of the problem's fingerprint.

        Raises:
            DataMissing: the data is not there.
        """

    def search_data(self, seeds: Seeds) -> SearchData:
        """Train and validation splits of this replicate (role "split")."""

    def judge_data(self, seeds: Seeds) -> JudgeData:
        """Train and valid together, and test. Only the judge's process calls this."""


@dataclass(frozen=True, slots=True)
class NoTask:
    """The task of a problem that has none: an objective brings its own data, if it needs any."""

    name: str = ""
    shape: tuple[int, ...] = ()
    classes: int = 0

    @property
    def recipe(self) -> Recipe:
        """Raises StudyError: nothing is trained by the harness."""
        raise StudyError("this problem has no task, so nothing can be trained on it; name one, such as `digits`.")

    def checksum(self) -> str:
        """No data, no checksum."""
        return ""

    def search_data(self, seeds: Seeds) -> SearchData:
        """Raises StudyError, as `recipe` does."""
        raise StudyError("this problem has no task, so there is no data to search on; name one, such as `digits`.")

    def judge_data(self, seeds: Seeds) -> JudgeData:
        """Raises StudyError, as `recipe` does."""
        raise StudyError("this problem has no task, so there is no data to judge on; name one, such as `digits`.")
