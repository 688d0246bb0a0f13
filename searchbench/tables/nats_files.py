"""Reading NAS-Bench-201's and NATS-Bench's own files: pickles, opened without running what they may hold.

A folder ``NATS-…-simple`` has one compressed pickle per architecture, read one at a time; a NAS-Bench-201 ``.pth`` is
one pickle of all, which is held as a whole. Both hold plain containers, numbers and NumPy scalars; anything else that a
pickle names is refused before it is looked up.
"""

from __future__ import annotations

import bz2
import io
import math
import pickle
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchbench.errors import DataMissing, TableError
from searchbench.tasks.pickles import LARGEST, Foreign, plain


@dataclass(frozen=True, slots=True)
class RecordedTraining:
    """One recorded training of one architecture."""

    data: str
    seed: int
    epochs: int
    accuracies: Mapping[str, float]
    """Percent, by ``set@epoch``, epochs from 0."""
    train_s: float
    """Recorded seconds of all its training epochs."""
    valid_s: float
    """Recorded seconds of one evaluation, 0 where none is recorded."""
    params_m: float
    macs_m: float


@dataclass(frozen=True, slots=True)
class NatsEntry:
    """Everything recorded of one architecture: its trainings by recipe ("12", "200", …)."""

    index: int
    notation: str
    trainings: Mapping[str, tuple[RecordedTraining, ...]]


# -- pickles ----------------------------------------------------------------------------------------------------


def unpickle(stream: Any, name: str, largest: int = LARGEST) -> Any:
    """What a pickle holds.

    Raises:
        TableError: it names anything but plain containers and numbers (nothing of it has been run), or is damaged.
    """
    try:
        return plain(stream, largest=largest)
    except Foreign as error:
        raise TableError(
            f"table {name} is a pickle that would call `{error}`; only plain containers and numbers are read, so it "
            "is refused unread: is this the benchmark's own file?"
        ) from error
    except pickle.UnpicklingError as error:
        raise TableError(f"table {name} is damaged or no pickle of the benchmark: {error}") from error


AS_OBJECTS = 20
"""How many times its size a whole file may take in memory."""


# -- files ------------------------------------------------------------------------------------------------------


def entries(path: str) -> Iterator[NatsEntry]:
    """The architectures of a ``-simple`` folder or its tar (one at a time), or of a whole ``.pickle.pbz2`` or ``.pth``.

    Raises:
        DataMissing: there is no such file or folder.
        TableError: it is damaged, refused, or lacks what it must have.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise DataMissing(f"`{path}` is neither a file nor a folder; give NATS-Bench's `…-simple` folder or its file.")
    read = _folder if place.is_dir() else _tar if place.suffix == ".tar" else _whole
    try:
        yield from read(place)
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise TableError(f"table {place} is damaged: {error}; fetch it again.") from error


def _folder(place: Path) -> Iterator[NatsEntry]:
    files = sorted(file for file in place.glob("*.pickle.pbz2") if file.name[0].isdigit())
    if not files:
        raise TableError(f"table {place} holds no files `000000.pickle.pbz2`, …; is it a NATS-Bench `-simple` folder?")
    for file in files:
        with bz2.open(file) as stream:
            yield _single(stream, str(file), file.name)


def _tar(place: Path) -> Iterator[NatsEntry]:
    with tarfile.open(place) as archive:
        for member in archive:  # in the order of the file: nothing is sought, nothing extracted
            name = Path(member.name).name
            stream = archive.extractfile(member) if name[:1].isdigit() and name.endswith(".pickle.pbz2") else None
            if stream is not None:
                with bz2.open(stream) as opened:
                    yield _single(opened, f"{place}:{member.name}", name)


def _single(stream: Any, where: str, name: str) -> NatsEntry:
    number = int(_number(name.partition(".")[0], "number in its name", where))
    return _entry(where, number, unpickle(stream, where))


def _whole(place: Path) -> Iterator[NatsEntry]:
    largest = max(LARGEST, AS_OBJECTS * place.stat().st_size)
    with _stream(place) as stream:
        held = unpickle(stream, str(place), largest)
        while not isinstance(held, dict) or "protocol_version" in held:
            held = unpickle(stream, str(place), largest)  # torch before 1.6: a number, a version and sizes come first
    infos = _mapping(held, "arch2infos", str(place))
    numbers = {key: int(_number(key, "arch2infos", str(place))) for key in infos}
    for key in sorted(numbers, key=lambda key: numbers[key]):
        yield _entry(f"{place}, arch2infos[{key}]", numbers[key], infos[key])


def _stream(place: Path) -> Any:
    """The pickle within: of a compressed file, a torch archive, or an old torch file."""
    if place.name.endswith(".pbz2"):
        return bz2.open(place)
    if zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            inner = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
            if inner is None:
                raise TableError(f"table {place} is a zip file without `data.pkl`; is it one that torch wrote?")
            return io.BytesIO(archive.read(inner))
    return place.open("rb")


# -- records ----------------------------------------------------------------------------------------------------


def _entry(where: str, index: int, held: Any) -> NatsEntry:
    if not isinstance(held, Mapping) or not held:
        raise TableError(f"table {where}: recipes and their results are needed, but it holds {held!r}."[:300])
    recipes = {_RENAMED.get(str(key), str(key)): state for key, state in held.items()}
    for name in recipes:
        if not (name.isascii() and name.isdigit() and 1 <= len(name) <= 4):
            raise TableError(f"table {where}: a recipe is called by its epochs, but one is called {name!r}."[:300])
    notations = {str(_needed(state, "arch_str", f"{where}[{key}]")) for key, state in recipes.items()}
    if len(notations) != 1:
        raise TableError(f"table {where}: its recipes are of different architectures: {sorted(notations)}.")
    return NatsEntry(index, notations.pop(), {key: _trainings(f"{where}[{key}]", s) for key, s in recipes.items()})


_RENAMED = {"less": "12", "full": "200", "01": "1"}
"""NAS-Bench-201 calls its recipes "less" and "full"."""


def _trainings(where: str, state: Any) -> tuple[RecordedTraining, ...]:
    found = []
    for key, record in _mapping(state, "all_results", where).items():
        if not isinstance(key, tuple) or len(key) != 2:
            raise TableError(f"table {where}, column `all_results`: data and seed are needed, not {key!r}."[:300])
        data, seed = key
        at = f"{where}, {data!s:.40} seed {seed!s:.40}"
        epochs, params, macs = (_number(_needed(record, name, at), name, at) for name in ("epochs", "params", "flop"))
        spent = [_number(value, "train_times", at) for value in _times(record, "train_times", at)]
        evaluations = [_number(value, "eval_times", at) for value in _times(record, "eval_times", at)]
        scores, last = _scores(record, at), evaluations[0] if evaluations else 0.0
        number = int(_number(seed, "seed", at))
        found.append(RecordedTraining(str(data), number, int(epochs), scores, sum(spent), last, params, macs))
    return tuple(found)


def _scores(record: Any, where: str) -> Mapping[str, float]:
    scores: dict[str, float] = {}
    for name, value in _mapping(record, "eval_acc1es", where).items():
        accuracy = _number(value, name, where)
        if accuracy > 100:
            raise TableError(
                f"table {where}, column `{name}`: an accuracy must lie in [0, 100], but it is {accuracy:g}."
            )
        scores[str(name)] = accuracy
    return scores


def _times(record: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """Seconds, which may be missing: by epoch, or in their order."""
    held = record.get(key)
    if held is None:
        return []
    if not isinstance(held, Mapping | list | tuple):
        raise TableError(f"table {where}, column `{key}`: seconds by epoch are needed, but it holds {held!r}."[:300])
    return list(held.values() if isinstance(held, Mapping) else held)


def _number(value: Any, key: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise TableError(f"table {where}, column `{key}`: a number of at least 0 is needed, not {value!r}."[:300])
    return number


def _mapping(held: Any, key: str, where: str) -> Mapping[Any, Any]:
    found = _needed(held, key, where)
    if not isinstance(found, Mapping):
        raise TableError(f"table {where}, column `{key}`: results by name are needed, but it holds {found!r}."[:300])
    return found


def _needed(held: Any, key: str, where: str) -> Any:
    if not isinstance(held, Mapping) or key not in held:
        raise TableError(f"table {where}, column `{key}`: is missing; is this a file of NAS-Bench-201 or NATS-Bench?")
    return held[key]
