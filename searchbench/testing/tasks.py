"""What every task must do: say what its data is, split it without overlap, and the same way again."""

from __future__ import annotations

import hashlib
import itertools
import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from searchbench.errors import DataMissing
from searchbench.seeds import Seeds
from searchbench.tasks.task import ImageSplit, JudgeData, Recipe, SearchData, Task, Tokens
from searchbench.testing.described import DESCRIBED, drawn_globally, elsewhere, implements
from searchbench.testing.report import Behaviour, Inapplicable

SEEDS = Seeds("conformance", 0)
SHARED = 0.01
"""Share of a part's samples that may also lie in another: published data holds some images twice."""
PASSAGE, SHARED_TEXT = 32, 0.25
"""Tokens of a passage, and the share of a part's passages that may also stand in another: texts repeat themselves."""


@dataclass(frozen=True, eq=False)
class ReadTask:
    """A task, with its data once that is asked for."""

    task: Any
    """A `Task`, it is hoped."""

    @cached_property
    def search(self) -> SearchData:
        return self.task.search_data(SEEDS)  # type: ignore[no-any-return]

    @cached_property
    def judge(self) -> JudgeData:
        return self.task.judge_data(SEEDS)  # type: ignore[no-any-return]

    def parts(self) -> Iterator[tuple[str, ImageSplit | Tokens]]:
        """Every part by name."""
        yield from (("train", self.search.train), ("valid", self.search.valid), ("test", self.judge.test))


def _whole(read: ReadTask) -> str | None:
    task = read.task
    if not isinstance(task.name, str) or not task.name:
        return f"its `name` must be a word, but is {task.name!r}."
    if not isinstance(task.recipe, Recipe):
        return f"its `recipe` must be a Recipe, but is {task.recipe!r}."
    shape: tuple[Any, ...] = tuple(task.shape)
    if shape and (len(shape) != 3 or any(type(side) is not int or side < 1 for side in shape)):
        return f"its `shape` must be (channels, height, width), or () for text, but is {shape!r}."
    return None


def _types(read: ReadTask) -> str | None:
    given = (type(read.search), type(read.judge))
    if given != (SearchData, JudgeData):
        return f"it must give SearchData and JudgeData, but gives {given[0].__name__} and {given[1].__name__}."
    if not (isinstance(read.task.classes, int) and read.task.classes >= 2):
        return f"its `classes` must be 2 or more, but is {read.task.classes!r}."
    told = {read.task.classes, read.search.classes, read.judge.classes}
    return None if len(told) == 1 else f"it says {sorted(told)} classes at different places."


def _samples(read: ReadTask) -> str | None:
    for name, part in read.parts():
        wrong = _text(read, part) if isinstance(part, Tokens) else _images(read, part)
        if wrong is not None:
            return f"`{name}`: {wrong}"
    return None


def _images(read: ReadTask, part: ImageSplit) -> str | None:
    if part.inputs.dtype != np.float32 or part.targets.dtype != np.int64:
        return f"inputs and targets must be float32 and int64, but are {part.inputs.dtype} and {part.targets.dtype}."
    if not len(part) or part.inputs.shape[1:] != tuple(read.task.shape):
        return f"inputs are {part.inputs.shape}, but must be [N, {', '.join(map(str, read.task.shape))}] with N > 0."
    if not np.isfinite(part.inputs).all():
        return "inputs are not all finite."
    absent = set(range(read.task.classes)) - set(np.unique(part.targets).tolist())
    beyond = set(np.unique(part.targets).tolist()) - set(range(read.task.classes))
    if beyond:
        return f"targets must lie in 0 … {read.task.classes - 1}, but {sorted(beyond)[:5]} do not."
    return f"classes {sorted(absent)[:5]} have no sample." if absent else None


def _text(read: ReadTask, part: Tokens) -> str | None:
    if part.tokens.dtype != np.int64 or part.tokens.ndim != 1 or len(part) < PASSAGE:
        return f"tokens must be int64 [N], N >= {PASSAGE}, but are {part.tokens.dtype} {part.tokens.shape}."
    if part.tokens.min() < 0 or part.tokens.max() >= read.task.classes:
        return f"tokens must lie in 0 … {read.task.classes - 1}, but some do not."
    return None


def _recipe_fits(read: ReadTask) -> str | None:
    recipe, train = read.task.recipe, read.search.train
    if isinstance(train, Tokens):
        return None if recipe.batch_size <= len(train) else f"a minibatch of {recipe.batch_size} is longer than it."
    if recipe.batch_size > len(train):
        return f"a minibatch of {recipe.batch_size} is more than the {len(train)} samples of `train`."
    return None


def _disjoint(read: ReadTask) -> str | None:
    for (one, first), (other, second) in itertools.combinations(read.parts(), 2):
        shared, of, most = _shared(first, second)
        if shared > max(most * of, 1):
            return f"`{one}` and `{other}` share {shared:,} of {of:,} samples."
    return None


def _shared(first: ImageSplit | Tokens, second: ImageSplit | Tokens) -> tuple[int, int, float]:
    """How many samples of the smaller part lie in the larger, of how many, and the share that may."""
    if not isinstance(first, Tokens) and not isinstance(second, Tokens):
        one, other = _counted(first), _counted(second)
        return (one & other).total(), min(one.total(), other.total()), SHARED
    small, large = sorted((_passages(part) for part in (first, second) if isinstance(part, Tokens)), key=len)
    return int(np.isin(small[::PASSAGE], large).sum()), len(small[::PASSAGE]), SHARED_TEXT


def _passages(text: Tokens) -> npt.NDArray[np.uint64]:
    """[N - PASSAGE + 1] a number for every passage, the same for equal ones."""
    words, factor = text.tokens.astype(np.uint64) + np.uint64(1), 1
    total = np.zeros(len(words) - PASSAGE + 1, dtype=np.uint64)
    for at in range(PASSAGE):
        total += words[at : at + len(total)] * np.uint64(factor)
        factor = factor * 0x9E3779B97F4A7C15 % 2**64
    return total


def _pools(read: ReadTask) -> str | None:
    """The judge trains on train and valid together, or, where it is given `valid`, on train alone."""
    search, judge = read.search, read.judge
    if isinstance(search.train, Tokens) or isinstance(search.valid, Tokens) or isinstance(judge.train, Tokens):
        raise Inapplicable("it is a text, which is not shuffled")
    together = _counted(search.train) if judge.valid is not None else _counted(search.train) + _counted(search.valid)
    trained = _counted(judge.train)
    if together == trained:
        return None
    return (
        f"the search is given {together.total():,} samples, and the judge trains on {trained.total():,}, "
        f"{(together & trained).total():,} of them the same."
    )


def _counted(part: ImageSplit) -> Counter[bytes]:
    """Digests of the samples, and how often each is there."""
    pieces = (image.tobytes() + target.tobytes() for image, target in zip(part.inputs, part.targets, strict=True))
    return Counter(hashlib.blake2b(piece, digest_size=16).digest() for piece in pieces)


def _declared_share(read: ReadTask) -> str | None:
    share = getattr(read.task, "valid", None)
    if not isinstance(share, float):
        raise Inapplicable("it declares no share `valid`")
    train, valid = len(read.search.train), len(read.search.valid)
    if abs(valid - share * (train + valid)) <= 1:
        return None
    return f"`valid` is declared as {share:g} of {train + valid:,}, but has {valid:,} samples."


def _same_test(read: ReadTask) -> str | None:
    other = read.task.judge_data(Seeds("conformance", 1))
    if digests(other.test) == digests(read.judge.test):
        return None
    return "two replicates have different test samples."


def _repeats(read: ReadTask) -> str | None:
    here = told(read.task)
    if here != told(pickle.loads(pickle.dumps(read.task))):
        return "the same seeds gave two different splits."
    return None


def _same_elsewhere(read: ReadTask) -> str | None:
    here, there = told(read.task), elsewhere(told, read.task)
    differs = [name for name in here if here[name] != there[name]]
    return f"{', '.join(differs)} differ in another process." if differs else None


def told(task: Task) -> dict[str, str]:
    """Checksum and digests of every part."""
    read = ReadTask(task)
    return {name: digests(part) for name, part in read.parts()} | {"checksum": task.checksum()}


def digests(part: ImageSplit | Tokens) -> str:
    """SHA-256 of a part's samples in their order."""
    arrays = (part.tokens,) if isinstance(part, Tokens) else (part.inputs, part.targets)
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def _checksum(read: ReadTask) -> str | None:
    first = read.task.checksum()
    if not isinstance(first, str) or len(first) < 16:
        return f"its checksum must be a digest as text, but is {first!r}."
    return None if read.task.checksum() == first else "its checksum changes from call to call."


def _leaves_global_state(read: ReadTask) -> str | None:
    return drawn_globally(lambda: (read.task.search_data(SEEDS), read.task.judge_data(SEEDS)))


def _reads(read: ReadTask) -> str | None:
    """Raises Inapplicable where the data is not there."""
    try:
        read.search, read.judge  # noqa: B018  (kept by the properties)
    except DataMissing as missing:
        raise Inapplicable(f"its data is not here: {missing}") from missing
    return None


READS = Behaviour(
    "reads its data",
    _reads,
    "every run would fail when it begins",
    "raise DataMissing with the way to get the data where it is not there, nothing else.",
)
"""Where this is skipped, so is all of `DATA`."""
DECLARED = (implements(Task, "task"), DESCRIBED)
DATA = (
    Behaviour(
        "has a name, a recipe and a shape",
        _whole,
        "no network could be built or trained for it",
        "give `name`, a `Recipe`, and `shape` as (channels, height, width), or () for text.",
    ),
    Behaviour(
        "gives data to search and to judge by",
        _types,
        "estimators and judges could not read it",
        "return `SearchData(train, valid, classes)` and `JudgeData(train, test, classes)` with the same classes.",
    ),
    Behaviour(
        "gives samples of its shape, of every class",
        _samples,
        "trainings would fail, or never see a class",
        "give float32 [N, C, H, W] and int64 [N] (or int64 tokens), finite, and stratify small parts.",
    ),
    Behaviour(
        "has a recipe that fits its data",
        _recipe_fits,
        "no minibatch would ever be full",
        "lower the recipe's batch_size.",
    ),
    Behaviour(
        "keeps train, valid and test apart",
        _disjoint,
        "searches would be rewarded for what they remember, and tests would flatter",
        "split by indices that exclude each other; remove duplicates across parts.",
    ),
    Behaviour(
        "judges on what was searched on",
        _pools,
        "the judge would train on other data than the study says",
        "let `judge_data` train on train and valid together, or hand over `valid` beside.",
    ),
    Behaviour(
        "validates on the share it declares",
        _declared_share,
        "the record would name a split that was never made",
        "draw round(valid x N) samples.",
    ),
    Behaviour(
        "tests every replicate on the same samples",
        _same_test,
        "differences between seeds would be differences between test sets",
        "let only the split of train and valid depend on the seeds.",
    ),
    Behaviour(
        "splits the same way again",
        _repeats,
        "strategies of one replicate would see different data",
        'draw from `seeds.rng("split", …)` alone.',
    ),
    Behaviour(
        "splits the same way in another process",
        _same_elsewhere,
        "workers would see different data",
        "sort file names and sets before their order counts; never use `hash`.",
    ),
    Behaviour(
        "has a checksum that stays",
        _checksum,
        "results of different data would be compared, or equal ones kept apart",
        "return SHA-256 over the data and the split rule (`searchbench.tasks.split.checksum`).",
    ),
    Behaviour(
        "leaves every global generator alone",
        _leaves_global_state,
        "reading data would change what a search draws",
        'draw from `seeds.rng("split", …)`.',
    ),
)
