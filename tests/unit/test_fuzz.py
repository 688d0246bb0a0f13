"""Whatever a file holds, reading it gives what it says or one message; never another error."""

from __future__ import annotations

import base64
import bz2
import copy
import io
import json
import pickle
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchbench.errors import InputError
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.study_file import read_study, study_from_mapping
from searchbench.harness.imported import import_files
from searchbench.spaces.graphs.nasbench101 import from_matrix, nasbench101
from searchbench.spaces.hyperparameters import hyperparameters
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.tables.nasbench101 import from_nasbench101
from searchbench.tables.nats import from_nats
from searchbench.tables.nats_files import unpickle
from searchbench.tables.tfrecord import masked_crc32c

some = settings(max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
several = settings(some, max_examples=40)
few = settings(some, max_examples=15)
STUDY: dict[str, Any] = {
    "name": "s",
    "seeds": 3,
    "budget": {"evaluations": 10},
    "problems": [{"space": "nasbench201", "task": "digits", "estimator": "table"}],
    "strategies": [{"use": "random", "label": "r"}, {"use": "regularized-evolution", "population": 9, "sample": 3}],
    "comparison": {"baseline": "r", "alpha": 0.05, "rope": 0.01},
    "limits": {"run_s": 10},
    "tuning": {"r": {"source": "a paper"}},
}
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("optuna:tpe")
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Ways to everything in a nested value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at] * bool(at) + [way for key, part in inner for way in places(part, (*at, key))]


def changed(held: Any, way: tuple[Any, ...], value: Any) -> Any:
    """A nested value with another in one place."""
    copied = copy.deepcopy(held)
    inner: Any = copied
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    return copied


PLACES = places(STUDY)


@some
@given(st.sampled_from(PLACES), values)
def test_a_study_with_any_value_in_any_place(way: tuple[Any, ...], value: Any) -> None:
    with suppress(InputError):
        made = study_from_mapping(changed(STUDY, way, value))
        made.spec()
        plan(made)


@some
@given(st.binary(max_size=200))
def test_a_study_file_of_any_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"study\.toml"):
        read_study(path)


names = st.text(min_size=1, max_size=6).filter(lambda name: name not in ("use", "label"))
options = st.lists(
    st.text(max_size=8) | st.integers() | st.booleans() | st.floats() | st.lists(st.integers(), max_size=3),
    min_size=1,
    max_size=4,
)


@some
@given(st.dictionaries(names, options, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_options_survive_writing_and_reading_or_are_refused(given_options: dict[str, Any], draw: Any) -> None:
    import numpy as np

    try:
        space = hyperparameters(**given_options)
    except InputError:
        return
    rng = np.random.default_rng(draw.randrange(1000))
    for _ in range(3):
        drawn = space.sample(rng)
        assert space.parse(str(drawn)) == drawn


@some
@given(st.binary(max_size=300))
def test_a_pickle_of_any_bytes(content: bytes) -> None:
    for given_bytes in (content, b"\x80\x04" + content, b"\x80\x02" + content):
        with suppress(InputError):
            unpickle(io.BytesIO(given_bytes), "t")


WHOLE = pickle.dumps({"arch2infos": {0: {"12": {"arch_str": "x", "all_results": {("a", 1): {"flop": 1.5}}}}}})


@some
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=4))
def test_a_pickle_with_any_bytes_changed(at: int, changed: bytes) -> None:
    with suppress(InputError):
        unpickle(io.BytesIO(WHOLE[:at] + changed + WHOLE[at + len(changed) :]), "t")


@few
@given(st.binary(max_size=200), st.sampled_from(["csv", "json", "parquet", "db", "log", "txt"]))
def test_results_of_any_bytes(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"results.{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError):
        import_files([path], store=tmp_path / "s.db", name="s")


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@few
@given(st.lists(st.lists(cells, min_size=3, max_size=3), max_size=4), st.sampled_from([",", ";", "\t"]))
def test_results_with_any_cells(tmp_path: Path, lines: list[list[str]], separator: str) -> None:
    path = tmp_path / "results.csv"
    path.write_text("\n".join(separator.join(line) for line in [["strategy", "seed", "score"], *lines]))
    (tmp_path / "s.db").unlink(missing_ok=True)
    with suppress(InputError):
        import_files([path], store=tmp_path / "s.db", name="s")


@few
@given(st.binary(max_size=300))
def test_a_record_file_of_any_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "nasbench.tfrecord"
    path.write_bytes(content)
    with pytest.raises(InputError):
        from_nasbench101(str(path), partial=True)


NATS = {
    recipe: {
        "arch_str": str(next(iter(nasbench201().enumerate()))),
        "all_results": {
            ("cifar10-valid", 777): {
                "epochs": int(recipe), "params": 0.25, "flop": 11.5, "train_times": {0: 2.0, 1: 2.0},
                "eval_acc1es": {f"x-valid@{int(recipe) - 1}": 50.0}, "eval_times": {"x-valid@0": 1.0},
            },
            ("cifar10", 777): {
                "epochs": int(recipe), "params": 0.25, "flop": 11.5,
                "eval_acc1es": {f"ori-test@{int(recipe) - 1}": 51.0},
            },
        },
    }
    for recipe in ("12", "200")
}  # fmt: skip
IN_NATS = places(NATS)


@several
@given(st.sampled_from(IN_NATS), values, st.sampled_from([None, 12, 200]))
def test_a_record_of_nats_bench_with_any_value_in_any_place(
    tmp_path: Path, way: tuple[Any, ...], value: Any, recipe: int | None
) -> None:
    (tmp_path / "000000.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(changed(NATS, way, value))))
    with suppress(InputError):
        from_nats(str(tmp_path), "cifar10", recipe=recipe, partial=True)


@several
@given(st.lists(st.sampled_from(IN_NATS), min_size=1, max_size=2), st.sampled_from(["tar", "pickle.pbz2", "pth"]))
def test_files_of_nats_bench_that_lack_anything(tmp_path: Path, ways: list[tuple[Any, ...]], ending: str) -> None:
    entry: Any = NATS
    for way in ways:
        with suppress(KeyError, TypeError):  # it is in what lacks already
            entry = changed(entry, way, None)
    whole = pickle.dumps({"arch2infos": {0: entry, "1": entry}})
    path = tmp_path / f"nats.{ending}"
    path.write_bytes(bz2.compress(whole) if ending == "pickle.pbz2" else whole)
    with suppress(InputError):
        from_nats(str(path), "cifar10", partial=True)


MESSAGE = bytes.fromhex("0a24") + b"".join(bytes([n << 3 | 1]) + struct.pack("<d", d) for n, d in
                                          ((1, 108.0), (2, 3.0), (4, 0.9), (5, 0.8))) + b"\x10\x07"  # fmt: skip


@several
@given(st.integers(0, 4), values, st.integers(0, len(MESSAGE) - 1), st.binary(max_size=3))
def test_a_record_of_nasbench_101_with_any_value_in_any_place(
    tmp_path: Path, place: int, value: Any, at: int, put: bytes
) -> None:
    cell = from_matrix(nasbench101(), [[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["conv3x3-bn-relu"])
    message = base64.b64encode(MESSAGE[:at] + put + MESSAGE[at + len(put) :]).decode()
    record = [cell.key, 108, "010001000", "input,conv3x3-bn-relu,output", message]
    path = tmp_path / "nasbench.tfrecord"
    for held in (record, [*record[:place], value, *record[place + 1 :]], record[:place], [value]):
        block = json.dumps(held).encode()
        head = len(block).to_bytes(8, "little")
        sums = [int(crc).to_bytes(4, "little") for crc in masked_crc32c([head, block])]
        path.write_bytes(head + sums[0] + block + sums[1])
        with suppress(InputError):
            from_nasbench101(str(path), partial=True)
