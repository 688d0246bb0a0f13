"""The judge that trains: the one architecture a run handed over, from scratch, on train and validation together.

The description only; `searchbench.estimators.final_training` does it, and is imported when one is opened, since it
needs PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchbench.errors import StudyError
from searchbench.estimators.recipes import TrainingFields, check_networks, recipe_of
from searchbench.metric import Metric
from searchbench.seeds import Seeds
from searchbench.spaces.space import Space
from searchbench.tasks.task import Task

if TYPE_CHECKING:
    from searchbench.estimators.final_training import FinalTraining


@dataclass(frozen=True, slots=True)
class TrainJudge(TrainingFields):
    """Train from scratch on train and validation together, then measure the test error once. Where the task's recipe
    decides by validation, as that of texts does, train on the training split alone.

    Raises:
        StudyError: a value is impossible.
    """

    nesterov: bool | None = None
    auxiliary: float | None = None
    """Weight of an auxiliary classifier's loss, in spaces whose networks can have one; not counted as parameters or
    multiply-accumulates."""
    drop_path: float | None = None
    """Probability of dropping an operation's output in the epoch after the last, in spaces whose networks can."""
    drop_edge: float | None = None
    """Probability that a minibatch is trained without one edge, in spaces whose networks are wired by graphs."""

    def check(self, space: Space, task: Task) -> None:
        """Raise StudyError, SpaceError where the recipe asks for what the space's networks do not have."""
        check_networks(recipe_of(self, task.recipe), space, task)

    def metric(self, task: Task) -> Metric:
        """The share of images that are misclassified, or the perplexity of a text."""
        return Metric(share=True) if task.shape else Metric("test perplexity")

    def open(self, space: Space, task: Task, seeds: Seeds) -> FinalTraining:
        """Read the task's data, test split included.

        Raises:
            SpaceError, DataMissing: the space has no networks, the data is not there.
            StudyError: the recipe decides by validation, and the task keeps nothing from training for that.
        """
        from searchbench.estimators.final_training import FinalTraining
        from searchbench.estimators.training import choose_device

        recipe, data = recipe_of(self, task.recipe), task.judge_data(seeds)
        if recipe.validates and data.valid is None:
            raise StudyError(
                f"the recipe of `{task.name}` validates (average_after={recipe.average_after}, "
                f"keep_best={recipe.keep_best}), but the judge trains on train and validation together; leave both out."
            )
        return FinalTraining(
            networks=space.builder(),
            recipe=recipe,
            halvings=self.halvings,
            width=float(self.width),
            time_limit_s=self.time_limit_s,
            shape=task.shape,
            data=data,
            device=choose_device(self.device),
            seeds=seeds,
        )
