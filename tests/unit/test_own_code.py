"""What is the user's own among the modules of a process, and so is sent to the nodes of a cluster."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from searchbench.errors import InputError
from searchbench.harness.executors import own_code
from searchbench.harness.executors.own_code import own_modules, staged


def test_a_plug_in_its_later_imports_and_its_package_are_sent_and_nothing_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "sent_plugin.py").write_text("import json, torch\ndef f():\n    import sent_later\n")
    (tmp_path / "sent_later.py").write_text("from sent_package.inner import x")
    inner = tmp_path / "sent_package"
    (inner / "__pycache__").mkdir(parents=True)
    (inner / "__pycache__" / "old.pyc").touch()
    (inner / "__init__.py").touch()
    (inner / "inner.py").write_text("x = 1")
    (inner / "settings.json").write_text("{}")
    (tmp_path / "sent_nowhere.py").write_text("a file that nobody imports, which is no Python")
    importlib.import_module("sent_plugin")
    found = {name: origin for name, origin in own_modules().items() if name.startswith("sent_")}
    assert found == {
        "sent_later": tmp_path / "sent_later.py",
        "sent_package": inner,
        "sent_plugin": tmp_path / "sent_plugin.py",
    }
    assert not {"json", "torch", "searchbench", "numpy", "pytest"} & own_modules().keys()
    to = tmp_path / "to"
    to.mkdir()
    assert [Path(copy).name for copy in staged(found, to)] == ["sent_later.py", "sent_package", "sent_plugin.py"]
    assert sorted(file.name for file in (to / "sent_package").iterdir()) == ["__init__.py", "inner.py", "settings.json"]


def test_a_driver_without_modules_of_its_own_sends_none(tmp_path: Path) -> None:
    assert staged({}, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_module_with_its_data_beside_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_code, "MOST_BYTES", 10)
    package = tmp_path / "heavy"
    package.mkdir()
    (package / "data").write_text("more than ten bytes")
    (to := tmp_path / "to").mkdir()
    with pytest.raises(InputError, match=r"`heavy` in .* is not installed, and with it 0 MiB would have to be sent"):
        staged({"heavy": package}, to)
