"""What the paths of a round learn from, and on which minibatches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from searchbench.errors import StudyError
from searchbench.strategies.strategy import Loss

if TYPE_CHECKING:
    from torch import Tensor

    from searchbench.tasks.task import Batch

Lesson = tuple["Batch", Loss | None]
"""A minibatch, and the loss on it; None: cross-entropy with the labels."""


class Teaching(Protocol):
    """Gives each path of a round its minibatch and its loss."""

    @property
    def shared(self) -> bool:
        """Whether all paths of a round see one minibatch."""

    def lessons(self, batches: list[Batch], paths: int, teacher: Tensor | None = None) -> Iterator[Lesson]:
        """A lesson for each path in turn; asked for when the one before has been learnt.

        Args:
            teacher: logits of a teacher that was kept, on the one minibatch; None: there is none.
        """


@dataclass(frozen=True, slots=True)
class Labels:
    """Each path learns the labels of a minibatch of its own."""

    shared = False

    def lessons(self, batches: list[Batch], paths: int, teacher: Tensor | None = None) -> Iterator[Lesson]:
        return ((batch, None) for batch in batches)


@dataclass(frozen=True, slots=True)
class InPlaceDistillation:
    """All paths of a round see one minibatch. The first learns its labels, every other what the first made of it:

    L_k = -sum_c p_c log softmax(z_k)_c,  p = softmax(z_1), a constant

    Source: Yu & Huang 2019, "Universally slimmable networks"; Yu et al. 2020, "BigNAS", section 3.
    """

    shared = True

    def lessons(self, batches: list[Batch], paths: int, teacher: Tensor | None = None) -> Iterator[Lesson]:
        [batch] = batches
        taught: list[Tensor] = []
        yield batch, listening(taught)
        for _ in range(paths - 1):
            yield batch, soft_cross_entropy(taught[0])


@dataclass(frozen=True, slots=True)
class KeptTeacher:
    """All paths of a round see one minibatch. Each learns its labels, and what a teacher makes of it if one was kept:

    L = -log softmax(z)_y - ratio sum_c p_c log softmax(z)_c,  p = softmax(teacher), a constant

    Raises:
        StudyError: `ratio` is negative.

    Source: Cai et al. 2020, "Once-for-all", section 3.3, and its code (ratio 1).
    """

    ratio: float = 1.0
    shared = True

    def __post_init__(self) -> None:
        if not self.ratio >= 0:
            raise StudyError(f"what a teacher says (`distillation`) cannot weigh less than 0, but got {self.ratio!r}.")

    def lessons(self, batches: list[Batch], paths: int, teacher: Tensor | None = None) -> Iterator[Lesson]:
        [batch] = batches
        loss = None if teacher is None else labels_and(teacher, self.ratio)
        return ((batch, loss) for _ in range(paths))


def labels_and(teacher: Tensor, ratio: float) -> Loss:
    """Cross-entropy with the labels, and `ratio` times that with the softmax of a teacher's logits [B, classes]."""
    import torch.nn.functional as F

    soft = soft_cross_entropy(teacher)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets) + ratio * soft(logits, targets)

    return loss


def listening(taught: list[Tensor]) -> Loss:
    """Cross-entropy that keeps the logits it saw."""
    import torch.nn.functional as F

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        taught.append(logits.detach())
        return F.cross_entropy(logits, targets)

    return loss


def soft_cross_entropy(teacher: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """The mean over samples of the cross-entropy with the softmax of a teacher's logits [B, classes]."""
    probabilities = teacher.softmax(1)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return -(probabilities * logits.log_softmax(1)).sum(1).mean()

    return loss
