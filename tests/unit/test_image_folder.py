"""CIFAR-100 from its official archive, and photographs in folders of classes."""

from __future__ import annotations

import hashlib
import io
import pickle
import shutil
import tarfile

import numpy as np
import pytest

from searchbench.errors import DataMissing, StudyError
from searchbench.estimators.batches import Batches
from searchbench.estimators.train import Train
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.tasks import TASKS, cifar_files, image_folder
from searchbench.tasks.image_files import readable
from searchbench.tasks.image_folder import ImageFolder, class_names, load, places_of
from searchbench.tasks.images import cifar100
from searchbench.tasks.task import Task
from searchbench.trial import FULL

# -- CIFAR-100 -----------------------------------------------------------------------------------------------------


def hundred(samples, seed):
    """Pixels and fine labels, every class as often."""
    rng = np.random.default_rng(seed)
    return rng.integers(256, size=(samples, 3072), dtype=np.uint8), np.arange(samples) % 100


def content_of(pixels, labels):
    fields = {b"data": pixels, b"fine_labels": labels.tolist(), b"coarse_labels": [0] * len(labels)}
    return pickle.dumps(fields, protocol=2)


@pytest.fixture
def parts(monkeypatch):
    found = {"train": hundred(400, 1), "test": hundred(100, 2)}
    files = {name: content_of(*part) for name, part in found.items()}
    hashes = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(cifar_files, "CIFAR100_MD5", hashes)
    return found, files, hashes


def archive(folder, files, hashes):
    with tarfile.open(folder / "cifar-100-python.tar.gz", "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    path = folder / "cifar-100-python.tar.gz"
    hashes[path.name] = hashlib.md5(path.read_bytes()).hexdigest()


def extract(folder, files):
    (folder / "cifar-100-python").mkdir()
    for name, content in files.items():
        (folder / "cifar-100-python" / name).write_bytes(content)


def test_fine_labels_and_images_are_read_from_the_archive_and_from_its_files(tmp_path, parts):
    found, files, hashes = parts
    (tmp_path / "packed").mkdir()
    (tmp_path / "cifar100").mkdir()
    archive(tmp_path / "packed", files, hashes)
    extract(tmp_path / "cifar100", files)
    packed, unpacked = cifar100(folder=str(tmp_path / "packed")), cifar100(folder=str(tmp_path))
    assert packed.checksum() == unpacked.checksum()
    data = unpacked.search_data(Seeds("s", 0))
    assert (len(data.train), len(data.valid), data.classes) == (200, 200, 100)
    judged = packed.judge_data(Seeds("s", 0))
    assert (judged.classes, judged.test.targets.tolist()) == (100, found["test"][1].tolist())


@pytest.mark.parametrize("packed", [True, False])
def test_a_part_with_another_hash_is_refused(tmp_path, parts, packed):
    _, files, hashes = parts
    if packed:
        archive(tmp_path, files, hashes)
        hashes["cifar-100-python.tar.gz"] = "0" * 32
    else:
        extract(tmp_path, files | {"train": content_of(*hundred(400, 3))})
    with pytest.raises(DataMissing, match="is not the published file: its MD5 should be"):
        cifar100(folder=str(tmp_path)).checksum()


# -- folders of classes --------------------------------------------------------------------------------------------

COLOURS = {"cat": (200, 30, 30), "dog": (30, 200, 30), "eel": (30, 30, 200)}


@pytest.fixture
def photographs(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="photographs need Pillow")
    rng = np.random.default_rng(0)
    for part, number in (("train", 6), ("val", 2)):
        for name, colour in COLOURS.items():
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for at in range(number):
                size = (40 + 7 * at, 33, 3) if at % 2 else (33, 50, 3)
                pixels = np.clip(np.array(colour) + rng.integers(-20, 20, size=size), 0, 255).astype(np.uint8)
                image.fromarray(pixels).save(folder / f"{at}.{'png' if at else 'JPG'}", format="PNG" if at else "JPEG")
    return tmp_path


def test_photographs_are_cut_resized_and_split_by_class(photographs):
    task = ImageFolder(folder=str(photographs), side=16)
    assert isinstance(task, Task)
    assert (task.shape, task.classes) == ((3, 16, 16), 3)
    data = task.search_data(Seeds("s", 0))
    assert data.train.inputs.shape == data.valid.inputs.shape == (9, 3, 16, 16)
    assert np.bincount(data.train.targets).tolist() == [3, 3, 3]
    judged = task.judge_data(Seeds("s", 0))
    assert (len(judged.train), len(judged.test), judged.classes) == (18, 6, 3)
    brightest = judged.test.inputs.mean((2, 3)).argmax(1)
    assert brightest.tolist() == judged.test.targets.tolist()  # red cats, green dogs, blue eels


def test_the_checksum_depends_on_the_pixels_and_the_side(photographs):
    task = ImageFolder(folder=str(photographs), side=16)
    assert task.checksum() == ImageFolder(folder=str(photographs), side=16).checksum()
    assert task.checksum() != ImageFolder(folder=str(photographs), side=8).checksum()


def test_the_middle_seven_eighths_of_the_shorter_side_are_kept(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="photographs need Pillow")
    pixels = np.zeros((16, 32, 3), dtype=np.uint8)
    pixels[:, 8:24] = 255  # the middle square is white, what is cut away on both sides is black
    image.fromarray(pixels).save(tmp_path / "one.png")
    assert (load(tmp_path / "one.png", 14) == 255).all()


def test_classes_must_be_the_same_in_both_parts_and_hold_pictures(photographs):
    (photographs / "val" / "fox").mkdir()
    with pytest.raises(DataMissing, match="only one has fox"):
        class_names(photographs)
    (photographs / "train" / "fox").mkdir()
    with pytest.raises(DataMissing, match="fox holds no picture"):
        ImageFolder(folder=str(photographs), side=8).checksum()


def test_a_damaged_picture_is_one_message(photographs):
    (photographs / "val" / "cat" / "0.JPG").write_bytes(b"no picture")
    with pytest.raises(DataMissing, match=r"0\.JPG is damaged"):
        ImageFolder(folder=str(photographs), side=9).checksum()


def test_a_picture_whose_bytes_are_none_of_its_format_is_one_message(photographs):
    whole = (photographs / "train" / "dog" / "1.png").read_bytes()
    (photographs / "train" / "dog" / "1.png").write_bytes(whole[:60] + b"\xff" * 40 + whole[100:])
    with pytest.raises(DataMissing, match=r"1\.png is damaged"):
        ImageFolder(folder=str(photographs), side=10).checksum()


def test_a_folder_without_the_images_to_test_says_so(photographs):
    shutil.rmtree(photographs / "val")
    with pytest.raises(DataMissing, match="holds `train`, but no folder `val`"):
        ImageFolder(folder=str(photographs), side=8).checksum()


def test_many_classes_that_only_one_part_has_are_counted(photographs):
    for at in range(9):
        (photographs / "train" / f"fox{at}").mkdir()
    with pytest.raises(DataMissing, match="fox0, fox1, fox2, fox3, fox4 and 4 more"):
        class_names(photographs)


# -- kept decoded once for a node, or decoded again ----------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Folders of files that are read without Pillow."""
    rng = np.random.default_rng(0)
    for part, number in (("train", 6), ("val", 2)):
        for name in COLOURS:
            (tmp_path / part / name).mkdir(parents=True)
            for at in range(number):
                content = rng.integers(256, size=(3, 8, 8), dtype=np.uint8).tobytes()
                (tmp_path / part / name / f"{at}.bmp").write_bytes(content)

    def read(path, side):
        with readable(path):
            return np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(3, side, side)

    monkeypatch.setattr(image_folder, "load", read)
    return tmp_path


def drawn(folder, **settings):
    """All that a replicate sees: checksum, samples to search and to judge by, two epochs of minibatches."""
    task = ImageFolder(folder=str(folder), side=8, **settings)
    search, judge = task.search_data(Seeds("s", 0)), task.judge_data(Seeds("s", 0))
    batches = Batches(search.train)
    epochs = [batch.inputs for seed in (1, 2) for batch in batches.epoch(4, seed, augment=("crop", "flip"))]
    whole = [part.inputs for part in (search.train, search.valid, judge.train, judge.test)]
    return task.checksum(), [np.asarray(array).tobytes() for array in (*whole, *epochs)]


EACH = 3 * 8 * 8 / 1e9
"""Gigabytes of an image of side 8."""


@pytest.mark.parametrize("loaders", [1, 3])
@pytest.mark.parametrize("cache_gb", [0, 5 * EACH, 23 * EACH])
def test_samples_are_the_same_however_many_are_kept_and_whoever_decodes_the_others(pictures, cache_gb, loaders):
    assert drawn(pictures, cache_gb=cache_gb, loaders=loaders) == drawn(pictures)


def test_no_more_is_kept_than_there_may_be(pictures, monkeypatch, tmp_path):
    monkeypatch.setenv("SEARCHBENCH_CACHE", str(tmp_path / "kept"))
    drawn(pictures, cache_gb=5.5 * EACH)
    (kept,) = (tmp_path / "kept").glob("*/held.npy")
    assert np.load(kept).shape == (5, 3, 8, 8)


def test_what_is_kept_is_spread_evenly_over_the_images():
    for keeps, count in ((3, 10), (0, 4), (4, 4), (7, 9)):
        kept, places = places_of(np.arange(count), keeps, count)
        assert places.tolist() == list(range(keeps))
        assert np.ptp(np.diff(np.flatnonzero(kept), prepend=-1)) <= 1 if keeps else not kept.any()


def test_only_as_much_is_decoded_ahead_as_is_soon_wanted(pictures, monkeypatch):
    decoded = []
    monkeypatch.setattr(image_folder, "load", lambda path, side: decoded.append(path) or np.zeros((3, side, side)))
    source = image_folder.Photographs(pictures, np.array([b"x"] * 100), 0, 100, None, 8, 2)
    blocks = source.blocks(np.arange(low, low + 5) for low in range(0, 100, 5))
    next(blocks)
    blocks.close()
    assert len(decoded) <= 5 * (image_folder.AHEAD + 1)


def test_a_picture_that_is_damaged_later_is_one_message_where_it_is_wanted(pictures):
    train = ImageFolder(folder=str(pictures), side=8, cache_gb=0).judge_data(Seeds("s", 0)).train
    (pictures / "train" / "eel" / "2.bmp").write_bytes(b"no picture")
    with pytest.raises(DataMissing, match=r"2\.bmp is damaged"):
        _ = train.inputs


def test_an_estimator_trains_on_photographs_that_are_not_kept_as_on_those_that_are(pictures):
    def error(**settings):
        task = ImageFolder(folder=str(pictures), side=8, **settings)
        space = SPACES.factory("nasbench201")(channels=4, cells=1, stages=1)
        spec = Train(epochs=2, batch_size=4, resolution=0.75)
        estimator = spec.open(space=space, task=task, seeds=Seeds("s", 0))
        architecture = space.sample(np.random.default_rng(0))
        return estimator.evaluate(architecture, estimator.complete(FULL), 1)[0]

    assert error(cache_gb=0) == error()


def test_a_missing_folder_says_what_is_wanted(tmp_path, monkeypatch):
    monkeypatch.delenv("SEARCHBENCH_DATA", raising=False)
    with pytest.raises(DataMissing, match="no folder was named"):
        ImageFolder().checksum()
    with pytest.raises(DataMissing, match=r"train/<class>/\*\.jpg"):
        TASKS.factory("image-folder")(folder=str(tmp_path)).checksum()


@pytest.mark.parametrize(
    "settings", [{"side": 4}, {"side": 2.5}, {"valid": 0}, {"subset": 2}, {"loaders": 0}, {"cache_gb": -1}]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(StudyError, match=next(iter(settings))):
        ImageFolder(**settings)
