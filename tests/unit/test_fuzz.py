"""Whatever a file holds, reading it gives what it says or one message; never another error."""

from __future__ import annotations

import copy
import io
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchbench.errors import InputError
from searchbench.harness.imported import import_files
from searchbench.harness.plan import plan
from searchbench.harness.study_file import read_study, study_from_mapping
from searchbench.spaces.hyperparameters import hyperparameters
from searchbench.tables.nasbench101 import from_nasbench101
from searchbench.tables.nats_files import unpickle

some = settings(max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


PLACES = places(STUDY)


@some
@given(st.sampled_from(PLACES), values)
def test_a_study_with_any_value_in_any_place(way: tuple[Any, ...], value: Any) -> None:
    study = copy.deepcopy(STUDY)
    inner: Any = study
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    with suppress(InputError):
        made = study_from_mapping(study)
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
