"""Language modelling: predict the next token. Penn TreeBank and WikiText-2 from a folder, and a text that is bundled.

One epoch goes over the text once, in `batch_size` streams, by passages of the length `bptt`, jittered by seed.
"""

from __future__ import annotations

import gzip
import importlib.util
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from searchbench.errors import DataMissing, StudyError
from searchbench.seeds import Seeds
from searchbench.tasks.image_files import folders, missing, readable
from searchbench.tasks.split import checksum
from searchbench.tasks.task import JudgeData, Recipe, SearchData, Tokens

END, UNKNOWN = "<eos>", "<unk>"
PARTS = ("train", "valid", "test")
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A text in three parts: one trains (the judge too), one validates, one tests; the same in every replicate.

    The value is the perplexity, exp of the mean negative log likelihood of a token in nats.

    Args:
        source: "wikitext2", "penn-treebank" or "descriptions".
        folder: where the files lie, themselves or in the usual subfolder; None looks below SEARCHBENCH_DATA.
        tokens: only so many of the first tokens train; None: all.
        measured: only so many of the first tokens validate, and test; None: all.
        vocabulary: the most frequent tokens of the training part are kept, all others are `<unk>`; None keeps all.
        bptt: usual length of a passage.
        deviation: standard deviation of a passage's length in stand-alone trainings.
        halved: probability of a passage of half the length.
        columns: streams in which the validating part is measured.
        test_columns: streams in which the testing part is measured.
        epochs, batch_size, lr, weight_decay, clip: the recipe's, SGD without momentum at a constant rate.
        average_after: epochs without a new least validation perplexity, after which weights are averaged (NT-ASGD).
        keep_best: hand over the epoch with the least validation perplexity, and go on from it where a loss is NaN.

    Raises:
        StudyError: a value is out of range.

    Source: Merity et al. 2018 and the released code of Liu et al. 2019 (lengths, rate scaled by length, averaging).
    Differs: perplexity divides by the tokens that are predicted, not by all; see also `searchbench.estimators.watch`.
    """

    source: str
    folder: str | None = field(default=None, metadata={"described": False})  # `checksum` says what is there
    tokens: int | None = None
    measured: int | None = None
    vocabulary: int | None = None
    bptt: int = 35
    deviation: float = 5.0
    halved: float = 0.05
    columns: int = 10
    test_columns: int = 1
    epochs: int = 8000
    batch_size: int = 64
    lr: float = 20.0
    weight_decay: float = 8e-7
    clip: float = 0.25
    average_after: int | None = 5
    keep_best: bool = True

    def __post_init__(self) -> None:
        least = {"tokens": 2, "measured": 2, "vocabulary": 2, "bptt": 1, "columns": 1, "test_columns": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < low):
                raise StudyError(f"{self.source}: `{name}` must be an integer of at least {low}, but got {value!r}.")
        if not self.deviation >= 0:
            raise StudyError(f"{self.source}: `deviation` must not be negative, but got {self.deviation!r}.")
        if not 0 <= self.halved <= 1:
            raise StudyError(f"{self.source}: `halved` must lie in [0, 1], but got {self.halved!r}.")
        for streams, part in (("batch_size", "tokens"), ("columns", "measured"), ("test_columns", "measured")):
            given, needed = getattr(self, part), 2 * getattr(self, streams)
            if given is not None and given < needed:
                raise StudyError(
                    f"{self.source}: {getattr(self, streams)} streams (`{streams}`) need at least {needed} tokens, but "
                    f"`{part}` is {given}; lower the one or raise the other."
                )
        _ = self.recipe

    @property
    def name(self) -> str:
        return self.source

    @property
    def recipe(self) -> Recipe:
        """`batch_size` streams at a constant rate."""
        return Recipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            lr_final=self.lr,
            momentum=0.0,
            nesterov=False,
            weight_decay=self.weight_decay,
            clip=self.clip,
            average_after=self.average_after,
            keep_best=self.keep_best,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Empty: a sample is one token."""
        return ()

    @property
    def classes(self) -> int:
        """Tokens of the vocabulary. Raises DataMissing."""
        return _encoded(self.source, self.folder, self.tokens, self.measured, self.vocabulary)[1]

    def checksum(self) -> str:
        """SHA-256 of the tokens as numbers. Raises DataMissing."""
        parts, size = _encoded(self.source, self.folder, self.tokens, self.measured, self.vocabulary)
        return checksum(f"{self.source} vocabulary={size}", *parts)

    def search_data(self, seeds: Seeds) -> SearchData:
        """The training and the validating part. Raises DataMissing."""
        return SearchData(self._part(0, self.columns), self._part(1, self.columns), self.classes)

    def judge_data(self, seeds: Seeds) -> JudgeData:
        """The training and the testing part, and the validating one, which is not trained on. Raises DataMissing."""
        train, valid, test = (self._part(*of) for of in ((0, self.columns), (1, self.columns), (2, self.test_columns)))
        return JudgeData(train, test, self.classes, valid)

    def _part(self, number: int, columns: int) -> Tokens:
        parts, _ = _encoded(self.source, self.folder, self.tokens, self.measured, self.vocabulary)
        return Tokens(parts[number], self.bptt, self.deviation, columns, self.halved)


def wikitext2(folder: str | None = None, **settings: object) -> Text:
    """WikiText-2: 2,088,628 / 217,646 / 245,569 tokens, 33,278 different. Settings are those of `Text`."""
    return Text("wikitext2", folder, **settings)  # type: ignore[arg-type]


def penn_treebank(folder: str | None = None, **settings: object) -> Text:
    """Penn TreeBank as Mikolov et al. 2010 prepared it, 10,000 different tokens. Settings are those of `Text`."""
    return Text("penn-treebank", folder, **settings)  # type: ignore[arg-type]


def descriptions(
    batch_size: int = 8,
    bptt: int = 10,
    vocabulary: int | None = 500,
    epochs: int = 8,
    lr: float = 5.0,
    test_columns: int = 10,
    **settings: object,
) -> Text:
    """The descriptions of data sets that scikit-learn ships: about 9,000 tokens of English, no download."""
    given = {"batch_size": batch_size, "bptt": bptt, "vocabulary": vocabulary, "epochs": epochs, "lr": lr}
    return Text("descriptions", **given, test_columns=test_columns, **settings)  # type: ignore[arg-type]


@cache
def _encoded(
    source: str, folder: str | None, tokens: int | None, measured: int | None, vocabulary: int | None
) -> tuple[tuple[np.ndarray, ...], int]:
    """Numbers of the tokens of the three parts, by first appearance, and how many different there are."""
    read = READERS.get(source)
    if read is None:
        raise StudyError(f"`source` must be one of {', '.join(READERS)}, but got {source!r}.")
    limits = (tokens, measured, measured)
    parts = [part[:limit] for part, limit in zip(read(folder), limits, strict=True)]
    if vocabulary is not None:
        frequent = Counter(word for word in parts[0] if word != UNKNOWN).most_common(vocabulary - 1)
        kept = {word for word, _ in frequent}
        parts = [tuple(word if word in kept else UNKNOWN for word in part) for part in parts]
    numbers: dict[str, int] = {}
    for part in parts:
        for word in part:
            numbers.setdefault(word, len(numbers))
    return tuple(np.array([numbers[word] for word in part], dtype=np.int64) for part in parts), len(numbers)


# -- readers -------------------------------------------------------------------------------------------------------


def read_wikitext2(folder: str | None) -> list[Words]:
    """The three parts, raw or gzipped. Raises DataMissing."""
    return _files("WikiText-2", folder, ("wikitext-2",), "wiki.{}.tokens", "https://huggingface.co/datasets/wikitext")


def read_penn_treebank(folder: str | None) -> list[Words]:
    """The three parts, raw or gzipped. Raises DataMissing."""
    origin = "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz"
    return _files("Penn TreeBank", folder, ("penn-treebank", "ptb", "penn"), "ptb.{}.txt", origin)


def _files(title: str, folder: str | None, below: Sequence[str], pattern: str, origin: str) -> list[Words]:
    looked, names = folders(folder, below), [pattern.format(part) for part in PARTS]
    for path in looked:
        found = [_existing(path, name) for name in names]
        if all(found):
            return [_words(file) for file in found if file is not None]
    raise missing(title, names, looked, origin)


def _existing(folder: Path, name: str) -> Path | None:
    return next((folder / f"{name}{end}" for end in ("", ".gz") if (folder / f"{name}{end}").is_file()), None)


def _words(path: Path) -> Words:
    """The words of every line, each closed by `<eos>`."""
    with readable(path):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = content.decode("utf-8").removesuffix("\n").split("\n")
    return tuple(word for line in lines for word in (*line.split(), END))


def read_descriptions(folder: str | None) -> list[Words]:
    """Parts of the descriptions: of each, 70 % of lines train, 15 % validate, the last test. Raises DataMissing."""
    package = importlib.util.find_spec("sklearn")
    roots = list(package.submodule_search_locations or []) if package is not None else []
    files = sorted(file for root in roots for file in (Path(root) / "datasets" / "descr").glob("*.rst"))
    if not files:
        raise DataMissing(
            f"the descriptions are part of scikit-learn, but no datasets/descr/*.rst is in {roots or 'any package'}; "
            "install it with: pip install --force-reinstall scikit-learn"
        )
    parts: tuple[list[str], ...] = ([], [], [])
    for file in files:
        lines = [line for line in file.read_text(encoding="utf-8").lower().splitlines() if line.strip()]
        bounds = [round(len(lines) * share) for share in (0.0, 0.7, 0.85, 1.0)]
        for part, low, high in zip(parts, bounds, bounds[1:], strict=False):
            part += [word for line in lines[low:high] for word in (*re.findall(r"\w+|[^\w\s]", line), END)]
    return [tuple(part) for part in parts]


READERS = {"wikitext2": read_wikitext2, "penn-treebank": read_penn_treebank, "descriptions": read_descriptions}
