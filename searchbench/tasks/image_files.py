"""Finding and checking published image files, and the reader of MNIST's. Nothing is downloaded.

Files are recognised by their published MD5, which guards against damage and mix-ups, not against malice.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from searchbench.errors import DataMissing

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Pictures as published: `inputs` [N, C, H, W] uint8, `targets` [N] int64."""

    inputs: Bytes
    targets: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ImageSource:
    """A data set found on disk."""

    title: str
    """What results on it are to be called."""
    path: Path
    read: Callable[[Path], tuple[Images, Images]]
    """path -> (train, test); raises DataMissing."""


# -- finding -------------------------------------------------------------------------------------------------------


def folders(folder: str | None, below: Iterable[str]) -> list[Path]:
    """Where to look, in order: the named folder, or else SEARCHBENCH_DATA, each itself and its usual subfolders."""
    root = folder or os.environ.get("SEARCHBENCH_DATA")
    if not root:
        return []
    base = Path(root).expanduser()
    return [base, *(base / name for name in below)]


def missing(title: str, wanted: Iterable[str], looked: list[Path], get: str) -> DataMissing:
    """The one message for data that is not there: what, where it was looked for, how to get it."""
    where = ", ".join(str(path) for path in looked)
    return DataMissing(
        f"{title} is missing: "
        + (f"none of {', '.join(wanted)} is in {where}" if looked else "no folder was named to look in")
        + f". Get it from {get}, then name its folder in the task's `folder` or in the environment variable "
        "SEARCHBENCH_DATA; nothing is downloaded for you."
    )


_OF_READERS: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, IndexError, AttributeError),
    *(zlib.error, struct.error, tarfile.TarError, zipfile.BadZipFile, pickle.UnpicklingError),
)
"""What a damaged file may raise, whichever reads it."""


@contextmanager
def readable(path: Path, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn what a damaged file raises into one message, also what is peculiar to its reader."""
    try:
        yield
    except _OF_READERS + also as error:
        raise DataMissing(f"{path} is damaged or not what its name says ({error}); get it again.") from error


def check_md5(path: Path, content: bytes, published: str, hint: str = "") -> None:
    """Raise DataMissing unless `content` has the published MD5."""
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != published:
        raise DataMissing(
            f"{path} is not the published file: its MD5 should be {published}, but is {found}{hint}; get it again."
        )


# -- MNIST ---------------------------------------------------------------------------------------------------------

MNIST_MD5: Mapping[str, str] = MappingProxyType(
    {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }
)
"""Of the uncompressed files."""


def find_mnist(folder: str | None) -> ImageSource:
    """The four idx files, raw or gzipped, in one folder. Raises DataMissing."""
    looked = folders(folder, ("mnist", "MNIST/raw"))
    for path in looked:
        if all(_idx_file(path, name) for name in MNIST_MD5):
            return ImageSource("MNIST", path, read_mnist)
    wanted = [f"{name}[.gz]" for name in MNIST_MD5]
    raise missing("MNIST", wanted, looked, "https://ossci-datasets.s3.amazonaws.com/mnist/ (four files)")


def _idx_file(folder: Path, name: str) -> Path | None:
    found = (folder / f"{name}{suffix}" for suffix in ("", ".gz"))
    return next((path for path in found if path.is_file()), None)


def read_mnist(folder: Path) -> tuple[Images, Images]:
    """(train, test) from the idx files. Raises DataMissing where one is not the published one."""
    arrays = []
    for name, md5 in MNIST_MD5.items():
        path = _idx_file(folder, name) or folder / name
        with readable(path):
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix == ".gz" else content
            check_md5(path, content, md5, " (Fashion-MNIST, for one, uses the same file names)")
            arrays.append(read_idx(content))
    images, labels, test_images, test_labels = arrays
    return (
        Images(images[:, None], labels.astype(np.int64)),
        Images(test_images[:, None], test_labels.astype(np.int64)),
    )


def read_idx(content: bytes) -> Bytes:
    """An array from the idx format: two zero bytes, type 8 (unsigned byte), rank, big-endian sizes, data.

    Raises:
        ValueError: the header or the length is wrong.
    """
    zero, kind, rank = struct.unpack_from(">HBB", content)
    if (zero, kind) != (0, 8):
        raise ValueError("an idx file of bytes begins with 0, 0, 8")
    shape = struct.unpack_from(f">{rank}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
