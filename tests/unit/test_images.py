"""MNIST and CIFAR-10: the readers on small files of the published layouts, the tasks on the real data where it is."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from searchbench.errors import DataMissing, StudyError
from searchbench.seeds import Seeds
from searchbench.tasks import TASKS, cifar_files, image_files
from searchbench.tasks.cifar_files import CIFAR_TEST, CIFAR_TRAIN, find_cifar10
from searchbench.tasks.image_files import Images, read_idx
from searchbench.tasks.images import PublishedImages, cifar10, cifar100, mnist
from searchbench.tasks.task import Task

DATA = os.environ.get("SEARCHBENCH_DATA", "")
needs_mnist = pytest.mark.skipif(
    not (Path(DATA) / "mnist").is_dir() or not DATA, reason="set SEARCHBENCH_DATA to a folder that holds mnist/"
)
needs_cifar = pytest.mark.skipif(
    not (Path(DATA) / "cifar10").is_dir() or not DATA, reason="set SEARCHBENCH_DATA to a folder that holds cifar10/"
)

NAMES = (*CIFAR_TRAIN, CIFAR_TEST)
PER_BATCH = 20


# -- making small files of the published layouts -------------------------------------------------------------------


def cifar_batches() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pixels [20, 3072] and labels [20], every class twice, by batch."""
    rng = np.random.default_rng(0)
    return {
        name: (
            rng.integers(256, size=(PER_BATCH, 3072), dtype=np.uint8),
            rng.permutation(np.arange(PER_BATCH, dtype=np.uint8) % 10),
        )
        for name in NAMES
    }


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Writes strings as Python 2 did, which is how the published batches were written."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_string(self, text: str | bytes) -> None:
        content = text.encode() if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_string


def pickled(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump({"data": pixels, "labels": labels.tolist(), "filenames": ["a.png"]})
    return buffer.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def binary(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    return np.column_stack([labels, pixels]).tobytes()


def contents(layout: str) -> dict[str, bytes]:
    """Published file name -> content."""
    if "python" in layout or layout.endswith("-py"):
        return {name: pickled(*batch) for name, batch in cifar_batches().items()}
    return {f"{name}.bin": binary(*batch) for name, batch in cifar_batches().items()}


def write_cifar(folder: Path, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write `layout` into a folder and let its hashes pass for the published ones."""
    files, hashes = contents(layout), {}
    if layout.endswith(".tar.gz"):
        inside = {"cifar-10-python.tar.gz": "cifar-10-batches-py"}.get(layout, "cifar-10-batches-bin")
        with tarfile.open(folder / layout, "w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(f"{inside}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        hashes[layout] = hashlib.md5((folder / layout).read_bytes()).hexdigest()
    else:
        (folder / layout).mkdir()
        for name, content in files.items():
            (folder / layout / name).write_bytes(content)
            hashes[name] = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(cifar_files, "CIFAR_MD5", hashes)
    monkeypatch.setattr(cifar_files, "BATCH", PER_BATCH)


def write_mosaics(folder: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="the mosaics need Pillow")
    labels = {}
    for batch, (pixels, targets) in cifar_batches().items():
        name = "test" if batch == CIFAR_TEST else batch.replace("data_batch", "train")
        tiles = pixels.reshape(4, 5, 3, 32, 32).transpose(0, 3, 1, 4, 2).reshape(4 * 32, 5 * 32, 3)
        image.fromarray(tiles).save(folder / f"{name}.webp", lossless=True)
        labels[f"{name}_labels"], labels[f"{name}_approx"] = targets, np.arange(PER_BATCH) < 3
    np.savez(folder / "labels.npz", **labels)


def assert_published(train: Images, test: Images) -> None:
    batches = cifar_batches()
    np.testing.assert_array_equal(
        train.inputs, np.concatenate([batches[n][0] for n in CIFAR_TRAIN]).reshape(-1, 3, 32, 32)
    )
    np.testing.assert_array_equal(train.targets, np.concatenate([batches[n][1] for n in CIFAR_TRAIN]))
    np.testing.assert_array_equal(test.inputs, batches[CIFAR_TEST][0].reshape(-1, 3, 32, 32))
    np.testing.assert_array_equal(test.targets, batches[CIFAR_TEST][1])


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, bool], dict[str, np.ndarray]]:
    def write(folder: Path, zipped: bool) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        arrays = {
            "train-images-idx3-ubyte": rng.integers(256, size=(60, 28, 28)),
            "train-labels-idx1-ubyte": np.arange(60) % 10,
            "t10k-images-idx3-ubyte": rng.integers(256, size=(20, 28, 28)),
            "t10k-labels-idx1-ubyte": np.arange(20) % 10,
        }
        folder.mkdir(parents=True)
        for name, array in arrays.items():
            if zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
            else:
                (folder / name).write_bytes(idx(array))
        hashes = {name: hashlib.md5(idx(array)).hexdigest() for name, array in arrays.items()}
        monkeypatch.setattr(image_files, "MNIST_MD5", hashes)
        return arrays

    return write


# -- CIFAR-10 ------------------------------------------------------------------------------------------------------

LAYOUTS = ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz", "cifar-10-batches-py", "cifar-10-batches-bin")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_official_layout_gives_the_published_images(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path, layout, monkeypatch)
    source = find_cifar10(str(tmp_path))
    assert source.title == "CIFAR-10"
    assert_published(*source.read(source.path))


def test_mosaics_give_the_published_images_and_say_that_they_are_a_reconstruction(tmp_path: Path) -> None:
    write_mosaics(tmp_path)
    source = find_cifar10(str(tmp_path))
    assert source.title == "CIFAR-10 (reconstructed, 18/120 images JPEG)"
    assert_published(*source.read(source.path))


def test_the_checksum_depends_on_the_images_and_not_on_how_they_are_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checksums = {}
    for layout in ("cifar-10-python.tar.gz", "cifar-10-batches-bin"):
        (tmp_path / layout).mkdir()
        write_cifar(tmp_path / layout, layout, monkeypatch)
        checksums[layout] = cifar10(folder=str(tmp_path / layout)).checksum()
    assert len(set(checksums.values())) == 1
    other = tmp_path / "other"
    other.mkdir()
    write_cifar(other, "cifar-10-batches-bin", monkeypatch)
    batch = other / "cifar-10-batches-bin" / "data_batch_2.bin"
    batch.write_bytes(batch.read_bytes()[:-1] + b"\0")
    assert cifar10(folder=str(other)).checksum() not in checksums.values()


def test_data_is_found_in_a_subfolder_of_the_folder_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cifar10").mkdir()
    write_cifar(tmp_path / "cifar10", "cifar-10-batches-py", monkeypatch)
    monkeypatch.setenv("SEARCHBENCH_DATA", str(tmp_path))
    data = cifar10(valid=0.2).search_data(Seeds("s", 0))
    assert (len(data.train), len(data.valid)) == (80, 20)
    assert data.train.inputs.shape == (80, 3, 32, 32)


@pytest.mark.parametrize("layout", LAYOUTS[:3])
def test_a_file_with_another_hash_is_refused(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, layout, monkeypatch)
    path = tmp_path / layout
    path = path / "data_batch_3" if path.is_dir() else path
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DataMissing, match=rf"{path.name} is not the published file: its MD5 should be .* but is"):
        cifar10(folder=str(tmp_path)).checksum()


def test_a_binary_batch_of_the_wrong_length_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, "cifar-10-batches-bin", monkeypatch)
    batch = tmp_path / "cifar-10-batches-bin" / "data_batch_4.bin"
    batch.write_bytes(batch.read_bytes()[:-3073])
    with pytest.raises(DataMissing, match=r"data_batch_4\.bin is damaged .*it should hold 20 records"):
        cifar10(folder=str(tmp_path)).checksum()


def test_a_batch_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, "cifar-10-batches-py", monkeypatch)
    (tmp_path / "cifar-10-batches-py" / "data_batch_5").unlink()
    with pytest.raises(DataMissing, match="data_batch_5"):
        cifar10(folder=str(tmp_path)).checksum()


def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.mkdir, (str(tmp_path / "trapped"),)

    write_cifar(tmp_path, "cifar-10-batches-py", monkeypatch)
    content = pickle.dumps({b"data": Trap(), b"labels": []}, protocol=2)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
    monkeypatch.setitem(cifar_files.CIFAR_MD5, "data_batch_1", hashlib.md5(content).hexdigest())  # type: ignore[arg-type]
    with pytest.raises(DataMissing, match=r"must hold arrays only, but names .*mkdir"):
        cifar10(folder=str(tmp_path)).checksum()
    assert not (tmp_path / "trapped").exists()


def test_a_damaged_mosaic_is_one_message(tmp_path: Path) -> None:
    write_mosaics(tmp_path)
    (tmp_path / "train_2.webp").write_bytes(b"no picture")
    with pytest.raises(DataMissing, match=r"train_2\.webp is damaged"):
        cifar10(folder=str(tmp_path)).checksum()


# -- MNIST ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("below", ["", "mnist", "MNIST/raw"])
def test_idx_files_are_read_raw_or_zipped_wherever_they_usually_lie(
    zipped: bool, below: str, tmp_path: Path, small_mnist: Callable[[Path, bool], dict[str, np.ndarray]]
) -> None:
    arrays = small_mnist(tmp_path / "root" / below, zipped)
    task = mnist(folder=str(tmp_path / "root"))
    data = task.judge_data(Seeds("s", 0))
    assert data.test.inputs.shape == (20, 1, 28, 28)
    np.testing.assert_array_equal(np.sort(data.train.targets), np.sort(arrays["train-labels-idx1-ubyte"]))
    mean, deviation = arrays["train-images-idx3-ubyte"].mean(), arrays["train-images-idx3-ubyte"].std()
    expected = (arrays["t10k-images-idx3-ubyte"] - mean) / deviation
    np.testing.assert_allclose(data.test.inputs[:, 0], expected, atol=1e-5)
    np.testing.assert_array_equal(data.test.targets, np.arange(20) % 10)


def test_other_data_under_the_same_file_names_is_refused(
    tmp_path: Path, small_mnist: Callable[[Path, bool], dict[str, np.ndarray]]
) -> None:
    small_mnist(tmp_path / "mnist", False)
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((60, 28, 28))))
    with pytest.raises(DataMissing, match=r"train-images-idx3-ubyte is not the published file.*Fashion-MNIST"):
        mnist(folder=str(tmp_path)).checksum()


def test_a_truncated_file_is_one_message(
    tmp_path: Path, small_mnist: Callable[[Path, bool], dict[str, np.ndarray]]
) -> None:
    small_mnist(tmp_path / "mnist", True)
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataMissing, match=r"train-images-idx3-ubyte\.gz is damaged"):
        mnist(folder=str(tmp_path)).checksum()


@pytest.mark.parametrize("content", [b"", b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", idx(np.zeros((2, 3)))[:-1]])
def test_what_is_no_idx_file_of_bytes_is_refused(content: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        read_idx(content)


# -- both ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "title"), [(cifar10, "CIFAR-10"), (cifar100, "CIFAR-100"), (mnist, "MNIST")])
def test_missing_data_says_what_where_and_how(
    task: Callable[..., PublishedImages], title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHBENCH_DATA", str(tmp_path))
    with pytest.raises(DataMissing) as missing:
        task().search_data(Seeds("s", 0))
    message = str(missing.value)
    assert message.startswith(f"{title} is missing: none of ")
    assert f"is in {tmp_path}, {tmp_path / title.lower().replace('-', '')}" in message
    assert "Get it from https://" in message
    assert "SEARCHBENCH_DATA" in message
    monkeypatch.delenv("SEARCHBENCH_DATA")
    with pytest.raises(DataMissing, match="no folder was named to look in"):
        task().checksum()


@pytest.mark.parametrize("task", [cifar10, cifar100, mnist])
@pytest.mark.parametrize("settings", [{"valid": 0}, {"valid": 1}, {"subset": 0}, {"subset": 1.5}, {"subset": "x"}])
def test_impossible_shares_are_refused(task: Callable[..., PublishedImages], settings: dict[str, object]) -> None:
    with pytest.raises(StudyError, match="is a share and must lie in"):
        task(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "shape"), [("cifar10", (3, 32, 32)), ("mnist", (1, 28, 28))])
def test_a_described_task_needs_no_data(name: str, shape: tuple[int, int, int]) -> None:
    task = TASKS.factory(name)(folder="nowhere")
    assert isinstance(task, Task)
    assert (task.name, task.shape, task.classes) == (name, shape, 10)
    assert task.recipe.epochs > 0


def test_a_subset_is_the_same_in_every_replicate_and_stratified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path, "cifar-10-batches-bin", monkeypatch)
    task = cifar10(folder=str(tmp_path), subset=0.5)
    one, other = (task.judge_data(Seeds("s", replicate)) for replicate in (0, 1))
    np.testing.assert_array_equal(one.train.inputs, other.train.inputs)
    assert len(one.test) == 20
    assert np.bincount(one.train.targets).tolist() == [5] * 10
    data = task.search_data(Seeds("s", 0))
    assert len(data.train) + len(data.valid) == 50
    assert task.checksum() != cifar10(folder=str(tmp_path)).checksum()


@needs_mnist
def test_the_real_mnist_has_its_published_hashes_and_sizes() -> None:
    data = mnist(subset=0.05).search_data(Seeds("s", 0))
    judge = mnist(subset=0.05).judge_data(Seeds("s", 0))
    assert (len(data.train), len(data.valid), len(judge.train), len(judge.test)) == (1500, 1500, 3000, 10000)
    assert judge.test.targets[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


@needs_cifar
def test_the_cifar_at_hand_has_the_published_channel_means() -> None:
    title = cifar10().title()
    assert title == "CIFAR-10" or title.startswith("CIFAR-10 (reconstructed, ")
    source = find_cifar10(None)
    train, test = source.read(source.path)
    assert (train.inputs.shape, test.inputs.shape) == ((50000, 3, 32, 32), (10000, 3, 32, 32))
    assert np.bincount(train.targets).tolist() == [5000] * 10
    assert np.bincount(test.targets).tolist() == [1000] * 10
    np.testing.assert_allclose(train.inputs.mean((0, 2, 3)) / 255, [0.4914, 0.4822, 0.4465], atol=1e-4)
