"""Nothing that a store or a file names runs before somebody has said that it may."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import searchbench as sb
from searchbench.errors import InputError, TableError
from searchbench.harness.declared.trust import foreign_names
from searchbench.harness.verify import verify
from searchbench.tables.nats_files import unpickle

EVIL = """
import io
import pickle
from pathlib import Path
from searchbench.strategies.random import Random
Path(__file__).with_name("ran").write_text("")
Mine = Random
"""


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store whose study names a module that was imported once, where it was run."""
    (tmp_path / "evil_part.py").write_text(EVIL)
    monkeypatch.syspath_prepend(str(tmp_path))
    problem = sb.Problem("nasbench201", "digits", "table")
    sb.run(
        sb.Study("s", problem, ["random", "evil_part:Mine"], 1, sb.Budget(evaluations=3)), tmp_path / "s.db", workers=0
    )
    monkeypatch.delitem(__import__("sys").modules, "evil_part")
    (tmp_path / "ran").unlink()
    return tmp_path


def test_verify_imports_what_a_store_names_only_when_told_to(evil: Path) -> None:
    with pytest.raises(InputError, match=r"`evil_part:Mine`.*trust=True"):
        verify(evil / "s.db", workers=0)
    assert not (evil / "ran").exists()
    assert all(verdict.identical for verdict in verify(evil / "s.db", workers=0, trust=True))
    assert (evil / "ran").exists()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"use": "random"}, []),
        ({"use": "optuna:tpe", "seed": 1}, []),
        ({"use": "searchbench.strategies.random:Random"}, []),
        ({"use": "searchbench.tables.table:Table", "path": "t.csv"}, []),
        ({"use": "searchbench.estimators.table:Table"}, []),  # where it stood before
        ({"use": "mine:My"}, ["mine:My"]),
        ({"use": "parts/mine.py:My"}, ["parts/mine.py:My"]),
        ({"use": "scheduled", "searcher": "mine:My"}, ["mine:My"]),
        ({"use": "searchbench.registry:load", "path": "os:abort"}, ["searchbench.registry:load", "os:abort"]),
        ({"use": "searchbench.cli.entry:main", "arguments": ["run"]}, ["searchbench.cli.entry:main"]),
        (
            {"use": "searchbench.harness.driving.zygote:subprocess.run"},
            ["searchbench.harness.driving.zygote:subprocess.run"],
        ),
        ({"command": "./train --lr {lr}"}, ["command ./train --lr {lr}"]),
        ({"objective": "mine:loss"}, ["mine:loss"]),
    ],
)
def test_foreign_names_are_found_wherever_they_stand(given: dict[str, Any], named: list[str]) -> None:
    spec = {"given": {"problems": [{"space": "nasbench201", "task": "digits"}], "strategies": [["x", given]]}}
    assert foreign_names(spec) == named
    assert foreign_names({"given": {"problems": [given], "strategies": []}}) == named


def reduced(module: str, name: str, arguments: bytes, state: bytes = b"") -> bytes:
    """A pickle, protocol 2, that calls `module.name` with what `arguments` leaves on the stack, then sets a state."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + arguments + b"R" + state + (b"b" if state else b"") + b"."


ARRAY = b"cnumpy\nndarray\nK\x00\x85C\x01b\x87"
DTYPE = b"cnumpy\ndtype\n(X\x02\x00\x00\x00%sK\x00K\x01tR"


def array(shape: bytes, code: bytes) -> bytes:
    """A pickle of an array of this shape and type, and of eight bytes."""
    content = shape + DTYPE % code + b"\x89C\x08AAAAAAAAt"
    return reduced("numpy.core.multiarray", "_reconstruct", ARRAY, content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        # an array of objects whose pointers are the file's bytes: NumPy's own reconstructor takes them for objects
        (array(b"(K\x01K\x01\x85", b"O8"), "must hold numbers"),
        (array(b"(K\x01J\xff\xff\xff\x7f\x85", b"f8"), "cannot have 8 bytes"),
        (reduced("numpy.core.multiarray", "scalar", DTYPE % b"f8" + b"C\x01A\x86"), "as many bytes"),
        (reduced("numpy", "dtype", b"X\x03\x00\x00\x00O,OK\x00K\x01\x87"), "must hold numbers"),
        (b"\x80\x02K\x01r\xff\xff\xff\x7f.", "GB of memory"),  # a memo of 2^31 entries
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\x00\x00\x00", "damaged"),  # a text of a terabyte
        (b"(" * 10**6 + b".", "damaged"),
        (pickle.dumps(test_foreign_names_are_found_wherever_they_stand), "would call"),
    ],
    ids=["objects", "shape", "scalar", "dtype", "memo", "text", "marks", "function"],
)  # fmt: skip
def test_a_pickle_that_lies_about_sizes_or_types_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(TableError, match=said):
        unpickle(io.BytesIO(content), "t")


def test_arrays_and_numbers_are_read_as_numpy_wrote_them() -> None:
    held = {"a": np.arange(12, dtype=">i4").reshape(3, 4, order="F"), "s": np.float64(1.5), "e": np.zeros((0, 3))}
    for protocol in (2, 4):
        read = unpickle(io.BytesIO(pickle.dumps(held, protocol=protocol)), "t")
        assert read["s"] == 1.5
        for name in "ae":
            np.testing.assert_array_equal(np.asarray(read[name]), held[name])
