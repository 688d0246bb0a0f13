"""Photographs in folders, one per class, as ImageNet is laid out. Needs Pillow."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from searchbench.errors import DataMissing, StudyError
from searchbench.seeds import Seeds
from searchbench.tasks.image_files import missing, readable
from searchbench.tasks.images import LabelledImages, Pictures, histogram, standardised
from searchbench.tasks.shared_files import Bytes, StoredRows, free_bytes, remembered, shared
from searchbench.tasks.split import Indices, check_share, in_parts
from searchbench.tasks.task import JudgeData, Recipe, SearchData

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
CROP = 7 / 8
"""Share of the shorter side that is cut out of the middle: 224 of 256."""
TRAIN, TEST = "train", "val"
AHEAD = 2
"""Minibatches that are decoded while one is used."""


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """Photographs below `train/<class>/` and `val/<class>/`: the first to train and validate, the second to test.

    Every picture is resized so that the middle `side` x `side` of it is 7/8 of its shorter side (224 of 256). The first
    process of a node that wants them decodes all, into a file that the others read (3 x side x side bytes for each);
    what is beyond `cache_gb` is decoded again whenever it is wanted, a few minibatches ahead. Samples, their order and
    their bytes are the same either way. Classes are the names of the folders, in order.

    Args:
        folder: what holds `train` and `val`; None looks in SEARCHBENCH_DATA.
        side: of the images, in pixels.
        valid: share of the training images that validates, stratified, drawn anew in every replicate.
        subset: share of the training images that is used at all, stratified, the same in every replicate.
        cache_gb: decoded images that are kept on the node's disk, in 1e9 bytes, and of its free space half at most.
        loaders: threads of each process that decode what is not kept.

    Raises:
        StudyError: a share, the side, or another number is impossible.
    """

    folder: str | None = field(default=None, metadata={"described": False})  # `checksum` says what is there
    side: int = 64
    valid: float = 0.5
    subset: float = 1.0
    cache_gb: float = field(default=16.0, metadata={"described": False})  # decides no sample
    loaders: int = field(default=2, metadata={"described": False})

    def __post_init__(self) -> None:
        check_share(self.name, "valid", self.valid)
        check_share(self.name, "subset", self.subset, upto_one=True)
        if not isinstance(self.side, int) or isinstance(self.side, bool) or self.side < 8:
            raise StudyError(f"{self.name}: `side` must be an integer of at least 8 pixels, but got {self.side!r}.")
        if not isinstance(self.loaders, int) or isinstance(self.loaders, bool) or self.loaders < 1:
            raise StudyError(f"{self.name}: `loaders` must be an integer of at least 1, but got {self.loaders!r}.")
        if isinstance(self.cache_gb, bool) or not isinstance(self.cache_gb, int | float) or not self.cache_gb >= 0:
            raise StudyError(f"{self.name}: `cache_gb` must be a number from 0 on, but got {self.cache_gb!r}.")

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
        return self._folder().checksum(f"{self.name} side={self.side}", self.valid, self.subset)

    def search_data(self, seeds: Seeds) -> SearchData:
        """Train and validation splits of this replicate (role "split"). Raises DataMissing."""
        return self._folder().pictures.search_data(seeds.rng("split", self.name), self.valid, self.subset)

    def judge_data(self, seeds: Seeds) -> JudgeData:
        """Train and validation together, and test; the same in every replicate. Raises DataMissing."""
        return self._folder().pictures.judge_data(self.subset)

    def _root(self) -> Path:
        root = self.folder or os.environ.get("SEARCHBENCH_DATA")
        looked = [Path(root).expanduser()] if root else []
        for path in looked:
            found = [part for part in (TRAIN, TEST) if (path / part).is_dir()]
            if len(found) == 2:
                return path
            if found:
                other = TEST if found == [TRAIN] else TRAIN
                raise DataMissing(
                    f"{path} holds `{found[0]}`, but no folder `{other}` beside it; images to train and validate "
                    f"belong below {TRAIN}/<class>/, images to test below {TEST}/<class>/."
                )
        wanted = (f"{TRAIN}/<class>/*.jpg with {TEST}/<class>/*.jpg",)
        raise missing("a folder of images", wanted, looked, "wherever your images are")

    def _folder(self) -> Folder:
        return _read(self._root(), self.side, self.cache_gb, self.loaders)


def class_names(root: Path) -> list[str]:
    """Folders of the training part, in order. Raises DataMissing where the test part has others, or there is one."""
    parts = {part: sorted(p.name for p in (root / part).iterdir() if p.is_dir()) for part in (TRAIN, TEST)}
    if parts[TRAIN] != parts[TEST]:
        odd = sorted(set(parts[TRAIN]) ^ set(parts[TEST]))
        more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
        raise DataMissing(
            f"{root / TRAIN} and {root / TEST} must hold the same classes, but only one has {', '.join(odd[:5])}{more}"
            "; each image belongs into a folder named by its class, in both."
        )
    if len(parts[TRAIN]) < 2:
        raise DataMissing(f"{root / TRAIN} must hold a folder for each of two classes or more, but has {parts[TRAIN]}.")
    return parts[TRAIN]


@cache
def _read(root: Path, side: int, cache_gb: float, loaders: int) -> Folder:
    """Decode once for all processes of this node, and open once in each."""
    names = class_names(root)
    listed = _listed(root, names)
    stamp = hashlib.sha256("\n".join(f"{one.path}\0{one.size}\0{one.changed}" for one in listed).encode()).hexdigest()

    def fill(folder: Path) -> None:
        _fill(folder, root, listed, side, cache_gb, loaders)

    place = shared(f"photographs {root.absolute()} side={side} cache_gb={cache_gb}", stamp, fill)
    files = np.load(place / "files.npy", mmap_mode="r")
    targets = np.load(place / "targets.npy")
    trained = int((place / "trained").read_text())
    held = StoredRows.opened(place / "held.npy")
    train, test = (
        LabelledImages(Photographs(root, files, low, high, held, side, loaders), targets[low:high])
        for low, high in ((0, trained), (trained, len(files)))
    )
    return Folder(Pictures(train, test, np.load(place / "levels.npy"), len(names)), place)


@dataclass(frozen=True, slots=True)
class Folder:
    """What is known of a folder of photographs."""

    pictures: Pictures
    place: Path
    """Where it is kept."""

    def checksum(self, task: str, valid: float, subset: float) -> str:
        """SHA-256 of everything and of the split rule; remembered where some of it would be decoded again for it."""
        if self.pictures.train.source.held:
            return self.pictures.checksum(task, valid, subset)
        return remembered(self.place, f"{task} {valid} {subset}", lambda: self.pictures.checksum(task, valid, subset))


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a photograph."""

    path: str
    """From the root."""
    label: int
    size: int
    changed: int


def _listed(root: Path, names: list[str]) -> list[ListedFile]:
    """All photographs: those to train first, by class and name. Raises DataMissing where a class has none."""
    found = []
    for part in (TRAIN, TEST):
        for label, name in enumerate(names):
            with os.scandir(root / part / name) as files:
                mine = sorted((file for file in files if _is_picture(file)), key=lambda file: file.name)
            if not mine:
                raise DataMissing(
                    f"{root / part / name} holds no picture ({', '.join(SUFFIXES)}); remove the folder, or fill it."
                )
            for file in mine:
                told = file.stat()
                found.append(ListedFile(f"{part}/{name}/{file.name}", label, told.st_size, told.st_mtime_ns))
    return found


def _is_picture(file: os.DirEntry[str]) -> bool:
    return file.name.lower().endswith(SUFFIXES) and file.is_file()


def _fill(folder: Path, root: Path, listed: list[ListedFile], side: int, cache_gb: float, loaders: int) -> None:
    """Decode everything once: keep as much as there may be, and count how often each byte stands in each channel."""
    files, each = np.array([one.path.encode() for one in listed]), 3 * side * side
    trained = sum(one.path.startswith(f"{TRAIN}/") for one in listed)
    keeps = min(len(listed), int(min(cache_gb * 1e9, free_bytes() / 2)) // each)
    held = np.lib.format.open_memmap(folder / "held.npy", mode="w+", dtype=np.uint8, shape=(keeps, 3, side, side))
    decoded = Photographs(root, files, 0, len(files), None, side, loaders)
    counts, low = np.zeros((3, 256)), 0
    for block in decoded.blocks(in_parts(len(files))):
        kept, places = places_of(np.arange(low, low + len(block)), keeps, len(files))
        held[places] = block[kept]
        counts += histogram(block[: max(0, trained - low)])
        low += len(block)
    held.flush()
    np.save(folder / "files.npy", files)
    np.save(folder / "targets.npy", np.array([one.label for one in listed], dtype=np.int64))
    np.save(folder / "levels.npy", standardised(counts))
    (folder / "trained").write_text(str(trained))


def places_of(rows: Indices, keeps: int, count: int) -> tuple[npt.NDArray[np.bool_], Indices]:
    """Which of these of `count` images are kept, spread evenly, where only `keeps` of them can be; and at which place.

    Epochs go through all images in ever new orders, so no other choice would be asked for more often.
    """
    kept = (rows + 1) * keeps // count > rows * keeps // count
    return kept, rows[kept] * keeps // count


@dataclass(frozen=True, slots=True, eq=False)
class Photographs:
    """Some of a folder's photographs, in the order of their files: those that are kept decoded are read, the others
    decoded by a pool of threads, a few minibatches ahead."""

    root: Path
    files: npt.NDArray[np.bytes_]
    """Of all photographs of the folder, from the root."""
    low: int
    high: int
    """Which of them: from and up to these numbers."""
    kept: StoredRows | None
    side: int
    loaders: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.high - self.low, 3, self.side, self.side

    @property
    def held(self) -> bool:
        return self.kept is not None and len(self.kept) == len(self.files)

    def blocks(self, orders: Iterable[Indices]) -> Iterator[Bytes]:
        """Images [B, 3, side, side] of every order of their numbers, in turn. Raises DataMissing."""
        if self.held:
            assert self.kept is not None
            return self.kept.blocks(order + self.low for order in orders)
        return self._decoded(orders)

    def _decoded(self, orders: Iterable[Indices]) -> Iterator[Bytes]:
        pool, ahead = ThreadPoolExecutor(self.loaders, "loader"), deque[tuple[Bytes, list[Future[None]]]]()
        try:
            for order in orders:
                ahead.append(self._begun(order + self.low, pool))
                if len(ahead) > AHEAD:
                    yield _ended(*ahead.popleft())
            while ahead:
                yield _ended(*ahead.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _begun(self, rows: Indices, pool: ThreadPoolExecutor) -> tuple[Bytes, list[Future[None]]]:
        block = np.empty((len(rows), 3, self.side, self.side), dtype=np.uint8)
        wanted = np.arange(len(rows))
        if self.kept is not None:
            kept, places = places_of(rows, len(self.kept), len(self.files))
            read = np.empty((len(places), *block.shape[1:]), dtype=np.uint8)
            self.kept.read_into(read, places)
            block[kept], wanted = read, wanted[~kept]
        return block, [pool.submit(self._load, block, at, int(rows[at])) for at in wanted.tolist()]

    def _load(self, block: Bytes, at: int, number: int) -> None:
        block[at] = load(self.root / os.fsdecode(self.files[number]), self.side)


def _ended(block: Bytes, loads: list[Future[None]]) -> Bytes:
    for load_ in loads:
        load_.result()
    return block


def load(path: Path, side: int) -> npt.NDArray[np.uint8]:
    """[3, side, side]: the middle of a picture, resized. Raises DataMissing on a damaged file, or without Pillow."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataMissing(
            f"the images in {path.parent} need Pillow, which is not installed; pip install 'searchbench[images]'"
        ) from error
    with readable(path, (SyntaxError, Image.DecompressionBombError)), Image.open(path) as picture:
        width, height = picture.size
        cut = CROP * min(width, height)
        left, top = (width - cut) / 2, (height - cut) / 2
        box = (left, top, left + cut, top + cut)
        middle = picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR, box=box)
        return np.asarray(middle, dtype=np.uint8).transpose(2, 0, 1)
