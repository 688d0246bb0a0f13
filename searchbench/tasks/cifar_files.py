"""Readers of the layouts in which CIFAR-10 and CIFAR-100 are found: official archives, extracted ones, mosaics.

Pickles are read by an unpickler that can build arrays and plain containers only.
"""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from searchbench.errors import DataMissing
from searchbench.tasks.image_files import Images, ImageSource, check_md5, folders, missing, readable
from searchbench.tasks.pickles import Foreign, plain

CIFAR_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
CIFAR_TEST = "test_batch"
PYTHON_ARCHIVE, BINARY_ARCHIVE = "cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"
PYTHON_FOLDER, BINARY_FOLDER = "cifar-10-batches-py", "cifar-10-batches-bin"
BATCH = 10_000
"""Images in a batch."""
CIFAR_MD5: Mapping[str, str] = MappingProxyType(
    {
        PYTHON_ARCHIVE: "c58f30108f718f92721af3b95e74349a",
        BINARY_ARCHIVE: "c32a1d4ab5d03f1284b67883e8d87530",
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    }
)
"""Of the archives, and of the extracted Python batches. None are published for the extracted binary batches, of which
length and labels are checked."""


def find_cifar10(folder: str | None) -> ImageSource:
    """An official archive, an extracted one, or the mosaics, whichever comes first. Raises DataMissing."""
    looked = folders(folder, ("cifar10", "cifar-10"))
    layouts: tuple[tuple[str, str, Callable[[Path], tuple[Images, Images]]], ...] = (
        (PYTHON_ARCHIVE, "", read_python_archive),
        (PYTHON_FOLDER, CIFAR_TEST, read_python_folder),
        (BINARY_ARCHIVE, "", read_binary_archive),
        (BINARY_FOLDER, f"{CIFAR_TEST}.bin", read_binary_folder),
    )
    for path in looked:
        for name, inside, read in layouts:
            if (path / name / inside).is_file():
                return ImageSource("CIFAR-10", path / name, read)
        if (path / "labels.npz").is_file() and (path / "test.webp").is_file():
            return ImageSource(_mosaic_title(path), path, read_mosaics)
    wanted = (PYTHON_ARCHIVE, BINARY_ARCHIVE, f"{PYTHON_FOLDER}/", f"{BINARY_FOLDER}/", "labels.npz with *.webp")
    raise missing("CIFAR-10", wanted, looked, "https://www.cs.toronto.edu/~kriz/cifar.html (Python version)")


CIFAR100_ARCHIVE, CIFAR100_FOLDER = "cifar-100-python.tar.gz", "cifar-100-python"
CIFAR100_PARTS = ("train", "test")
CIFAR100_MD5: Mapping[str, str] = MappingProxyType(
    {
        CIFAR100_ARCHIVE: "eb9058c3a382ffc7106e4002c42a8d85",
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    }
)
"""Of the archive, and of the extracted parts."""


def find_cifar100(folder: str | None) -> ImageSource:
    """The official archive, or the extracted one. Raises DataMissing."""
    looked = folders(folder, ("cifar100", "cifar-100"))
    for path in looked:
        if (path / CIFAR100_ARCHIVE).is_file():
            return ImageSource("CIFAR-100", path / CIFAR100_ARCHIVE, read_cifar100_archive)
        if (path / CIFAR100_FOLDER / "test").is_file():
            return ImageSource("CIFAR-100", path / CIFAR100_FOLDER, read_cifar100_folder)
    wanted = (CIFAR100_ARCHIVE, f"{CIFAR100_FOLDER}/")
    raise missing("CIFAR-100", wanted, looked, "https://www.cs.toronto.edu/~kriz/cifar.html (Python version)")


def read_cifar100_archive(path: Path) -> tuple[Images, Images]:
    """(train, test) with fine labels from the official archive of pickles, without extracting it."""
    members = _members(path, CIFAR100_FOLDER, CIFAR100_PARTS, CIFAR100_MD5)
    train, test = (_pickled(path / name, content, b"fine_labels") for name, content in members)
    return train, test


def read_cifar100_folder(path: Path) -> tuple[Images, Images]:
    """(train, test) with fine labels from the extracted pickles."""
    parts = []
    for name in CIFAR100_PARTS:
        with readable(path / name):
            content = (path / name).read_bytes()
        check_md5(path / name, content, CIFAR100_MD5[name])
        parts.append(_pickled(path / name, content, b"fine_labels"))
    return parts[0], parts[1]


def read_python_archive(path: Path) -> tuple[Images, Images]:
    """(train, test) from the official archive of pickles, without extracting it."""
    members = _members(path, PYTHON_FOLDER, (*CIFAR_TRAIN, CIFAR_TEST), CIFAR_MD5)
    return _parts([_pickled(path / name, content) for name, content in members])


def read_python_folder(path: Path) -> tuple[Images, Images]:
    """(train, test) from the extracted pickles."""
    parts = []
    for name in (*CIFAR_TRAIN, CIFAR_TEST):
        with readable(path / name):
            content = (path / name).read_bytes()
        check_md5(path / name, content, CIFAR_MD5[name])
        parts.append(_pickled(path / name, content))
    return _parts(parts)


def read_binary_archive(path: Path) -> tuple[Images, Images]:
    """(train, test) from the official archive of binary batches, without extracting it."""
    members = _members(path, BINARY_FOLDER, [f"{name}.bin" for name in (*CIFAR_TRAIN, CIFAR_TEST)], CIFAR_MD5)
    return _parts([_binary(path / name, content) for name, content in members])


def read_binary_folder(path: Path) -> tuple[Images, Images]:
    """(train, test) from the extracted binary batches."""
    parts = []
    for name in (*CIFAR_TRAIN, CIFAR_TEST):
        file = path / f"{name}.bin"
        with readable(file):
            parts.append(_binary(file, file.read_bytes()))
    return _parts(parts)


def _members(path: Path, folder: str, names: Iterable[str], published: Mapping[str, str]) -> list[tuple[str, bytes]]:
    with readable(path):
        content = path.read_bytes()
        check_md5(path, content, published[path.name])
        found = []
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for name in names:
                member = archive.extractfile(f"{folder}/{name}")
                if member is None:
                    raise ValueError(f"{folder}/{name} is no file")
                found.append((name, member.read()))
        return found


def _pickled(path: Path, content: bytes, labels: bytes = b"labels") -> Images:
    with readable(path):
        try:
            batch = plain(io.BytesIO(content), encoding="bytes")
        except Foreign as error:
            raise pickle.UnpicklingError(f"a batch of images must hold arrays only, but names {error}") from None
        pixels = np.asarray(batch[b"data"], dtype=np.uint8)
        return Images(pixels.reshape(-1, 3, 32, 32), np.asarray(batch[labels], dtype=np.int64))


def _binary(path: Path, content: bytes) -> Images:
    with readable(path):
        if len(content) != BATCH * 3073:
            raise ValueError(f"it should hold {BATCH:,} records of a label and 3,072 pixels")
        table = np.frombuffer(content, np.uint8).reshape(BATCH, 3073)
        if table[:, 0].max() > 9:
            raise ValueError(f"a label should be at most 9, but one is {table[:, 0].max()}")
        return Images(table[:, 1:].reshape(-1, 3, 32, 32), table[:, 0].astype(np.int64))


def _parts(parts: list[Images]) -> tuple[Images, Images]:
    """All but the last are train."""
    train = Images(
        np.concatenate([part.inputs for part in parts[:-1]]), np.concatenate([part.targets for part in parts[:-1]])
    )
    return train, parts[-1]


def _mosaic_title(folder: Path) -> str:
    with readable(folder / "labels.npz"), np.load(folder / "labels.npz") as labels:
        flags = [labels[f"{name}_approx"] for name in _mosaics()]
    stand_ins, all_images = sum(int(flag.sum()) for flag in flags), sum(len(flag) for flag in flags)
    return f"CIFAR-10 (reconstructed, {stand_ins:,}/{all_images:,} images JPEG)"


def read_mosaics(folder: Path) -> tuple[Images, Images]:
    """(train, test) from lossless mosaics of 100 x 100 images each, and their labels. Needs Pillow."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataMissing(
            f"the mosaics in {folder} need Pillow, which is not installed; pip install 'searchbench[images]'"
        ) from error
    parts = []
    with readable(folder / "labels.npz"), np.load(folder / "labels.npz") as archive:
        labels = {name: archive[f"{name}_labels"].astype(np.int64) for name in _mosaics()}
    for name in _mosaics():
        with readable(folder / f"{name}.webp"), Image.open(folder / f"{name}.webp") as picture:
            tiles = np.asarray(picture.convert("RGB"))
            rows, columns = tiles.shape[0] // 32, tiles.shape[1] // 32
            pixels = tiles.reshape(rows, 32, columns, 32, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, 32, 32)
            if len(pixels) != len(labels[name]):
                raise ValueError(f"{len(pixels)} images, but {len(labels[name])} labels")
            parts.append(Images(pixels, labels[name]))
    return _parts(parts)


def _mosaics() -> list[str]:
    return [f"train_{i}" for i in range(1, 6)] + ["test"]
