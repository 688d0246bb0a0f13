"""What an estimator and a judge may change in a task's recipe, checked where it is written."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

from searchbench.errors import StudyError
from searchbench.tasks.task import Recipe

if TYPE_CHECKING:
    from searchbench.spaces.space import Space
    from searchbench.tasks.task import Task

DEVICES = ("auto", "cpu", "cuda")

_ANY = Recipe(epochs=1, batch_size=1, lr=1.0)


class Trains(Protocol):
    """A frozen description with fields named as in `Recipe`, None where the task's own value holds."""

    @property
    def width(self) -> float: ...
    @property
    def time_limit_s(self) -> float | None: ...
    @property
    def device(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFields:
    """What an estimator and a judge may both change in a training; a field left at None is the task's own.

    Raises:
        StudyError: a value is impossible.
    """

    epochs: int | None = field(default=None, kw_only=False)
    """Epochs of the full training, and length of the learning-rate schedule."""
    width: float = 1.0
    """Multiplier of the channels."""
    batch_size: int | None = None
    lr: float | None = None
    lr_final: float | None = None
    weight_decay: float | None = None
    clip: float | None = None
    label_smoothing: float | None = None
    augment: tuple[str, ...] | None = None
    time_limit_s: float | None = None
    """A training that takes longer fails with "timeout"."""
    halvings: int = field(default=0, metadata={"described": "unless default"})
    """How often a training for which a card's memory is too small is begun again with half the minibatch, at the same
    learning rate; its metric `batch_size` then says which it was. Otherwise it fails with "memory"."""
    device: str = field(default="auto", metadata={"described": False})  # where it runs is no part of the problem
    """ "auto" (CUDA where there is one), "cpu" or "cuda"."""

    def __post_init__(self) -> None:
        check_training(self)


def recipe_of(spec: Trains, recipe: Recipe) -> Recipe:
    """The task's recipe with the fields that `spec` gives. Raises StudyError on an impossible value."""
    given: dict[str, Any] = {f.name: getattr(spec, f.name, None) for f in fields(Recipe)}
    return replace(recipe, **{name: value for name, value in given.items() if value is not None})


def check_training(spec: Trains) -> None:
    """Check what a description of a training has in common with others, and make `augment` a tuple.

    Raises:
        StudyError: a value is impossible.
    """
    augment = getattr(spec, "augment", None)
    if isinstance(augment, str):
        raise StudyError(f'`augment` must be a list of names, but got {augment!r}; write ["{augment}"].')
    if augment is not None:
        object.__setattr__(spec, "augment", tuple(augment))  # a study file gives a list; the description must hash
    recipe_of(spec, _ANY)
    positive("width", spec.width)
    if spec.time_limit_s is not None:
        positive("time_limit_s", spec.time_limit_s)
    halvings = getattr(spec, "halvings", 0)
    if not isinstance(halvings, int) or isinstance(halvings, bool) or halvings < 0:
        raise StudyError(f"`halvings` must be 0 or a positive integer, but got {halvings!r}.")
    if spec.device not in DEVICES:
        raise StudyError(f"`device` must be one of {', '.join(DEVICES)}, but got {spec.device!r}.")


def check_together(spec: TrainingFields, recipe: Recipe, space: Space) -> None:
    """Raise StudyError where trainings by a recipe do not fit into one graph."""
    from searchbench.spaces.nasbench201.stacks import Stacks

    if not isinstance(space.builder(), Stacks):
        raise StudyError(f"the networks of `{space.name}` cannot be trained `together`; leave it out.")
    alone = ("auxiliary", "drop_path", "drop_edge", "keep_best", "average_after")
    odd = [name for name in alone if getattr(recipe, name) not in (None, 0, False)]
    odd += ["halvings"] if spec.halvings else []
    if odd:
        raise StudyError(
            f"trainings `together` are by the plain recipe, but this one has {', '.join(f'`{name}`' for name in odd)}; "
            "leave one or the other out."
        )


def check_networks(recipe: Recipe, space: Space, task: Task) -> None:
    """Raise StudyError, SpaceError where a recipe asks for an auxiliary classifier, drop-path or drop-edge in vain."""
    if not (recipe.auxiliary or recipe.drop_path or recipe.drop_edge):
        return
    import numpy as np

    from searchbench.spaces.networks import RegularisedNetworks, WiredNetworks

    builder = space.builder()
    if recipe.drop_edge and not isinstance(builder, WiredNetworks):
        raise StudyError(
            f"the networks of `{space.name}` are not wired by graphs, but the recipe has "
            f"drop_edge={recipe.drop_edge}; leave it out."
        )
    if not (recipe.auxiliary or recipe.drop_path):
        return
    if not isinstance(builder, RegularisedNetworks):
        raise StudyError(
            f"the networks of `{space.name}` have no auxiliary classifier and no drop-path, but the recipe has "
            f"auxiliary={recipe.auxiliary}, drop_path={recipe.drop_path}; leave both out."
        )
    some = space.sample(np.random.default_rng(0))
    builder.regularised(some, task.shape, task.classes, auxiliary=recipe.auxiliary > 0)


def positive(name: str, value: object) -> None:
    """Raise StudyError unless `value` is a positive, finite number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and value > 0 and math.isfinite(value)):  # type: ignore[operator,arg-type]
        raise StudyError(f"`{name}` must be a positive number, but got {value!r}.")


def check_subset(value: object) -> None:
    """Raise StudyError unless `value` is a share in (0, 1]."""
    positive("subset", value)
    if value > 1:  # type: ignore[operator]
        raise StudyError(f"`subset` is a share of the train split and must lie in (0, 1], but got {value!r}.")
