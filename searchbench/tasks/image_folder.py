"""Photographs in folders, one per class, as ImageNet is laid out. Needs Pillow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from searchbench.errors import DataMissing, StudyError
from searchbench.seeds import Seeds
from searchbench.tasks.image_files import Images, missing, readable
from searchbench.tasks.images import Pictures
from searchbench.tasks.split import check_share
from searchbench.tasks.task import JudgeData, Recipe, SearchData

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
CROP = 7 / 8
"""Share of the shorter side that is cut out of the middle: 224 of 256."""
TRAIN, TEST = "train", "val"


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """Photographs below `train/<class>/` and `val/<class>/`: the first to train and validate, the second to test.

    Every picture is resized so that the middle `side` x `side` of it is 7/8 of its shorter side (224 of 256), and kept
    in memory as bytes: 3 x side x side for each. Classes are the names of the folders, in order.

    Args:
        folder: what holds `train` and `val`; None looks in SEARCHBENCH_DATA.
        side: of the images, in pixels.
        valid: share of the training images that validates, stratified, drawn anew in every replicate.
        subset: share of the training images that is used at all, stratified, the same in every replicate.

    Raises:
        StudyError: a share or the side is impossible.
    """

    folder: str | None = field(default=None, metadata={"described": False})  # `checksum` says what is there
    side: int = 64
    valid: float = 0.5
    subset: float = 1.0

    def __post_init__(self) -> None:
        check_share(self.name, "valid", self.valid)
        check_share(self.name, "subset", self.subset, upto_one=True)
        if not isinstance(self.side, int) or isinstance(self.side, bool) or self.side < 8:
            raise StudyError(f"{self.name}: `side` must be an integer of at least 8 pixels, but got {self.side!r}.")

    @property
    def name(self) -> str:
        return "image-folder"

    @property
    def recipe(self) -> Recipe:
        """Recipe of CIFAR-10's longer trainings; another is the study's to declare."""
        return Recipe(epochs=90, batch_size=128, lr=0.1, weight_decay=1e-4, augment=("crop", "flip"))

    @property
    def shape(self) -> tuple[int, int, int]:
        return 3, self.side, self.side

    @property
    def classes(self) -> int:
        """How many folders of classes there are. Raises DataMissing."""
        return len(class_names(self._root()))

    def checksum(self) -> str:
        """SHA-256 of the resized pixels, labels and the split rule. Raises DataMissing."""
        return self._pictures().checksum(f"{self.name} side={self.side}", self.valid, self.subset)

    def search_data(self, seeds: Seeds) -> SearchData:
        """Train and validation splits of this replicate (role "split"). Raises DataMissing."""
        return self._pictures().search_data(seeds.rng("split", self.name), self.valid, self.subset)

    def judge_data(self, seeds: Seeds) -> JudgeData:
        """Train and validation together, and test; the same in every replicate. Raises DataMissing."""
        return self._pictures().judge_data(self.subset)

    def _root(self) -> Path:
        root = self.folder or os.environ.get("SEARCHBENCH_DATA")
        looked = [Path(root).expanduser()] if root else []
        for path in looked:
            if (path / TRAIN).is_dir() and (path / TEST).is_dir():
                return path
        wanted = (f"{TRAIN}/<class>/*.jpg with {TEST}/<class>/*.jpg",)
        raise missing("a folder of images", wanted, looked, "wherever your images are")

    def _pictures(self) -> Pictures:
        return _read(self._root(), self.side)


def class_names(root: Path) -> list[str]:
    """Folders of the training part, in order. Raises DataMissing where the test part has others, or there is one."""
    parts = {part: sorted(p.name for p in (root / part).iterdir() if p.is_dir()) for part in (TRAIN, TEST)}
    if parts[TRAIN] != parts[TEST]:
        odd = sorted(set(parts[TRAIN]) ^ set(parts[TEST]))
        raise DataMissing(
            f"{root / TRAIN} and {root / TEST} must hold the same classes, but only one has {', '.join(odd)}."
        )
    if len(parts[TRAIN]) < 2:
        raise DataMissing(f"{root / TRAIN} must hold a folder for each of two classes or more, but has {parts[TRAIN]}.")
    return parts[TRAIN]


@cache
def _read(root: Path, side: int) -> Pictures:
    """Read once per process: decoding takes a while, and a process serves many runs."""
    names = class_names(root)
    train, test = (_images(root / part, names, side) for part in (TRAIN, TEST))
    return Pictures.of(train, test, len(names))


def _images(folder: Path, names: list[str], side: int) -> Images:
    files = [(path, label) for label, name in enumerate(names) for path in _pictures_in(folder / name)]
    inputs = np.empty((len(files), 3, side, side), dtype=np.uint8)
    for at, (path, _) in enumerate(files):
        inputs[at] = load(path, side)
    return Images(inputs, np.array([label for _, label in files], dtype=np.int64))


def _pictures_in(folder: Path) -> Iterator[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise DataMissing(f"{folder} holds no picture ({', '.join(SUFFIXES)}); remove the folder, or fill it.")
    yield from found


def load(path: Path, side: int) -> npt.NDArray[np.uint8]:
    """[3, side, side]: the middle of a picture, resized. Raises DataMissing on a damaged file, or without Pillow."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataMissing(
            f"the images in {path.parent} need Pillow, which is not installed; pip install 'searchbench[images]'"
        ) from error
    with readable(path), Image.open(path) as picture:
        width, height = picture.size
        cut = CROP * min(width, height)
        left, top = (width - cut) / 2, (height - cut) / 2
        box = (left, top, left + cut, top + cut)
        middle = picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR, box=box)
        return np.asarray(middle, dtype=np.uint8).transpose(2, 0, 1)
