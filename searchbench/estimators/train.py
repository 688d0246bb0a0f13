"""The estimator that really trains: from scratch, on the train split, measured on the validation split.

The description only; `searchbench.estimators.from_scratch` does it, and is imported when one is opened, since it needs
PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from searchbench.errors import StudyError
from searchbench.estimators.judge import TrainJudge
from searchbench.estimators.recipes import TrainingFields, check_subset, check_together, positive, recipe_of
from searchbench.seeds import Seeds
from searchbench.spaces.space import Space
from searchbench.tasks.task import Task

if TYPE_CHECKING:
    from searchbench.estimators.from_scratch import FromScratch


PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True, slots=True)
class Train(TrainingFields):
    """Train from scratch for `epochs` and measure the validation error.

    A field left at None is the task's own. The learning rate falls along a cosine over all `epochs`; an evaluation at
    fewer epochs is the beginning of the full one. Where the task's recipe decides by validation, as that of texts does,
    every epoch is measured and charged, and the value is that of the network the recipe hands over.

    Raises:
        StudyError: a value is impossible.
    """

    subset: float = 1.0
    """Share of the train split, in (0, 1]."""
    resolution: float = 1.0
    """Multiplier of the image side."""
    curve: bool = False
    """Measure after every epoch, and charge it; the metrics then hold `valid_error_1`, `valid_error_2` …"""
    precision: str = "fp32"
    """Of supernets on a GPU: "fp32", or "bf16" for autocast. On a CPU, and for stand-alone networks, always "fp32"."""
    recorded: bool = field(default=True, metadata={"described": "unless default"})
    """Whether passes through a whole mixture, which come again and again, are recorded on a GPU as CUDA graphs and
    replayed; their sums may round otherwise. On a CPU nothing is."""
    together: int = field(default=1, metadata={"described": "unless default"})
    """Most networks that are trained in one graph, of those that a problem with `parallel` has under way. Results agree
    with those of single trainings up to the order in which numbers are summed."""

    def __post_init__(self) -> None:
        TrainingFields.__post_init__(self)
        if self.precision not in PRECISIONS:
            raise StudyError(f"`precision` must be one of {', '.join(PRECISIONS)}, but got {self.precision!r}.")
        if not isinstance(self.recorded, bool):
            raise StudyError(f"`recorded` must be true or false, but got {self.recorded!r}.")
        if not isinstance(self.together, int) or isinstance(self.together, bool) or self.together < 1:
            raise StudyError(f"`together` must be a positive integer, but got {self.together!r}.")
        positive("resolution", self.resolution)
        check_subset(self.subset)

    @property
    def trains(self) -> bool:
        return True

    def check(self, space: Space, task: Task) -> None:
        """Raise StudyError where networks are to train together whose trainings do not fit into one graph."""
        if self.together > 1:
            check_together(self, recipe_of(self, task.recipe), space)

    def checksum(self) -> str:
        """Empty: it reads nothing besides the task's data."""
        return ""

    def stops(self, task: Task) -> tuple[float, ...]:
        """Epochs at which an evaluation can end: any whole number up to the full training's."""
        return tuple(float(epoch) for epoch in range(1, recipe_of(self, task.recipe).epochs + 1))

    def open(self, space: Space, task: Task, seeds: Seeds) -> FromScratch:
        """Read the replicate's train and validation splits. Raises SpaceError, StudyError, DataMissing."""
        from searchbench.estimators.from_scratch import FromScratch
        from searchbench.estimators.training import choose_device

        return FromScratch(
            spec=self,
            networks=space.builder(),
            recipe=recipe_of(self, task.recipe),
            shape=task.shape,
            data=task.search_data(seeds),
            device=choose_device(self.device),
        )

    def judge(self) -> TrainJudge:
        """Judge by this recipe for as many epochs as the task's own has, at full width, resolution and data."""
        shared = {f.name for f in fields(TrainJudge)} & {f.name for f in fields(Train)} - {"epochs", "width"}
        return TrainJudge(**{name: getattr(self, name) for name in shared})
