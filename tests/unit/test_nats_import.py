"""NAS-Bench-201's and NATS-Bench's own files: the protocol kept, pickles never run, faults named."""

from __future__ import annotations

import bz2
import collections
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from searchbench.cli.table_import import import_table
from searchbench.errors import DataMissing, StudyError, TableError
from searchbench.spaces.chains.nats_sizes import nats_sizes
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.tables.importing import write
from searchbench.tables.nats import from_nats
from searchbench.tasks import TASKS

CELLS = [str(cell) for _, cell in zip(range(3), nasbench201().enumerate(), strict=False)]
SIZES = ["8:8:8:8:8", "8:64:8:16:24"]


def training(data: str, seed: int, epochs: int, base: float) -> dict[str, Any]:
    """A record as `ResultsCount.state_dict` gives it; the long recipe validates after its last epoch only."""
    names = {"cifar10-valid": ("x-valid", "ori-test"), "cifar10": ("ori-test",)}.get(
        data, ("x-valid", "x-test", "ori-test")
    )
    scores = {}
    for at, name in enumerate(names):
        kept = range(epochs) if epochs <= 12 or name == "ori-test" else [epochs - 1]
        scores |= {f"{name}@{e}": base + at + 10 * e / epochs for e in kept}
    return {
        "name": data, "net_state_dict": None, "train_acc1es": dict.fromkeys(range(epochs), 50.0),
        "train_times": collections.OrderedDict((e, 2.0) for e in range(epochs)),
        "params": np.float64(0.25), "flop": 11.5, "seed": seed, "epochs": epochs, "latency": [np.float64(0.01)],
        "eval_names": list(names), "eval_acc1es": scores, "eval_times": dict.fromkeys(scores, 1.0),
    }  # fmt: skip


def state(index: int, notation: str, epochs: int, seeds: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    results = {(d, s): training(d, s, epochs, 40.0 + index + s / 1000) for d, given in seeds.items() for s in given}
    return {"arch_index": index, "arch_str": notation, "all_results": results, "dataset_seed": seeds}


SHORT = {"cifar10-valid": (777, 111), "cifar10": (111,), "cifar100": (111,)}
LONG = {"cifar10-valid": (999, 777, 888), "cifar10": (888, 777), "cifar100": (777,)}


def topology(index: int) -> dict[str, Any]:
    return {"12": state(index, CELLS[index], 12, SHORT), "200": state(index, CELLS[index], 200, LONG)}


def simple(folder: Path, entries: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    for index, entry in enumerate(entries):
        (folder / f"{index:06d}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(entry, protocol=4)))
    meta = {"meta_archs": CELLS, "total_archs": len(entries)}
    (folder / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(meta, protocol=4)))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return simple(tmp_path / "NATS-tss-v1_0-3ffb9-simple", [topology(i) for i in range(3)])


def test_full_recipe_is_searched_and_judged_and_the_short_one_is_a_lower_fidelity(folder: Path, tmp_path: Path) -> None:
    content = from_nats(str(folder), "cifar10", partial=True)
    table = write(content, tmp_path / "nats.parquet", TASKS.factory("digits")())
    written = pd.read_parquet(tmp_path / "nats.parquet")
    assert (table.epochs, table.curve, table.fidelity) == (200.0, False, ((12.0, ("epochs_12_0", "epochs_12_1")),))
    assert list(written["architecture"]) == CELLS
    first = written.iloc[0]
    assert [first[f"validation_{i}"] for i in range(3)] == pytest.approx(
        [40 + s / 1000 + 9.95 for s in (777, 888, 999)]
    )
    assert [first["test_0"], first["test_1"]] == pytest.approx([40.777 + 9.95, 40.888 + 9.95])
    assert first["epochs_12_0"] == pytest.approx(40.111 + 10 * 11 / 12)
    assert (first["seconds"], first["params"], first["macs"]) == (401.0, 250_000.0, 11_500_000.0)


def test_short_recipe_is_a_curve_of_every_epoch_and_is_judged_by_the_long_one(folder: Path) -> None:
    content = from_nats(str(folder), "cifar10", recipe=12, partial=True)
    assert (content.table.epochs, content.table.curve) == (12.0, True)
    assert [epochs for epochs, _ in content.table.fidelity] == list(range(1, 12))
    assert content.columns["epochs_1_1"][2] == pytest.approx(42.777)
    assert content.columns["validation_0"][0] == pytest.approx(40.111 + 10 * 11 / 12)
    assert content.columns["test_0"][0] == pytest.approx(40.777 + 9.95)
    assert content.columns["seconds"][0] == 25.0


def test_other_data_sets_have_their_own_validation_and_test(folder: Path) -> None:
    content = from_nats(str(folder), "cifar100", partial=True)
    assert content.columns["test_0"][0] - content.columns["validation_0"][0] == pytest.approx(1.0)
    with pytest.raises(StudyError, match="no data set `cifar1000`; did you mean"):
        from_nats(str(folder), "cifar1000")


@pytest.mark.parametrize("form", ["tar", "pbz2", "torch", "old torch"])
def test_every_published_form_gives_the_same_columns(folder: Path, tmp_path: Path, form: str) -> None:
    whole = {"meta_archs": CELLS, "arch2infos": {i: topology(i) for i in range(3)}, "evaluated_indexes": {0, 1, 2}}
    renamed = whole | {"arch2infos": {i: {"less": v["12"], "full": v["200"]} for i, v in whole["arch2infos"].items()}}
    path = tmp_path / {"tar": "simple.tar", "pbz2": "NATS.pickle.pbz2"}.get(form, "NAS-Bench-201-v1_1-096897.pth")
    if form == "tar":
        with tarfile.open(path, "w") as archive:
            archive.add(folder, folder.name)
    elif form == "pbz2":
        path.write_bytes(bz2.compress(pickle.dumps(whole, protocol=4)))
    else:
        torch.save(renamed, path, _use_new_zipfile_serialization=form == "torch")
    expected, found = (from_nats(str(p), "cifar10", partial=True) for p in (folder, path))
    assert pd.DataFrame(expected.columns).equals(pd.DataFrame(found.columns))


def test_sizes_are_a_space_of_their_own(tmp_path: Path) -> None:
    seeds = {"cifar10-valid": (777,), "cifar10": (777,)}
    entries = [{hp: state(i, s, int(hp), seeds) for hp in ("01", "12", "90")} for i, s in enumerate(SIZES)]
    content = from_nats(str(simple(tmp_path / "NATS-sss-simple", entries)), "cifar10", partial=True)
    assert (content.space.name, content.table.epochs) == ("nats-sss", 90.0)
    assert [epochs for epochs, _ in content.table.fidelity] == [1.0, 12.0]
    assert nats_sizes().size == 32_768
    assert str(nats_sizes().parse(SIZES[1])) == SIZES[1]


def test_command_imports_a_folder_and_prints_the_study_lines(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "nats.parquet"
    arguments = [str(folder), "--out", str(out), "--format", "nats", "--data", "cifar10", "--recipe", "12"]
    done = CliRunner().invoke(import_table, [*arguments, "--partial"], catch_exceptions=False)
    assert "3 rows, all checks passed" in done.output
    assert 'space = "nasbench201"' in done.output
    with pytest.raises(TableError, match=r"lacks 15,\d+ of the architectures"):
        CliRunner().invoke(import_table, arguments, catch_exceptions=False)


# -- refusals ------------------------------------------------------------------------------------------------------


class Malicious:
    """Would create a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["simple", "pbz2", "torch", "old torch"])
def test_malicious_pickle_is_refused_without_being_run(tmp_path: Path, form: str) -> None:
    trap, folder = tmp_path / "ran", tmp_path / "simple"
    held = {"arch2infos": {0: topology(0)}, "evil": Malicious(trap)}
    path = tmp_path / ("whole.pickle.pbz2" if form == "pbz2" else "whole.pth")
    if form == "simple":
        path = simple(folder, [topology(0) | {"evil": Malicious(trap)}])
    elif form == "pbz2":
        path.write_bytes(bz2.compress(pickle.dumps(held)))
    else:
        torch.save(held, path, _use_new_zipfile_serialization=form == "torch")
    with pytest.raises(TableError, match=r"would call `(posix|nt)\.mkdir`"):
        from_nats(str(path), "cifar10")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e["200"]["all_results"]["cifar10-valid", 777]["eval_acc1es"].update({"x-valid@199": 101.0}),
         r"cifar10-valid seed 777, column `x-valid@199`: an accuracy must lie in \[0, 100\]"),
        (lambda e: e["200"]["all_results"]["cifar10-valid", 777].pop("flop"), "column `flop`: is missing"),
        (lambda e: e["200"].update(arch_str=CELLS[2]), "of different architectures"),
        (lambda e: e["200"].update(all_results={}), "row 2 .* no training of cifar10-valid"),
    ],
)  # fmt: skip
def test_faulty_record_is_refused_with_row_and_column(tmp_path: Path, change: Any, message: str) -> None:
    entries = [topology(i) for i in range(3)]
    change(entries[1])
    with pytest.raises(TableError, match=message):
        from_nats(str(simple(tmp_path / "simple", entries)), "cifar10", partial=True)


def test_unknown_operation_and_doubled_architecture_are_refused(tmp_path: Path) -> None:
    task = TASKS.factory("digits")()
    for name, index, notation, message in (
        ("unknown", 1, CELLS[1].replace("none~0", "conv_9x9~0", 1), "row 2, column `architecture`: .*conv_9x9"),
        ("doubled", 2, CELLS[0], "row 3, column `architecture`: .* already stands in row 1"),
    ):
        entries = [topology(i) for i in range(3)]
        for recipe in entries[index].values():
            recipe["arch_str"] = notation
        content = from_nats(str(simple(tmp_path / name, entries)), "cifar10", partial=True)
        with pytest.raises(TableError, match=message):
            write(content, tmp_path / "out.parquet", task)
        assert not list(tmp_path.glob("*.parquet"))


def test_missing_empty_and_damaged_files_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="neither a file nor a folder"):
        from_nats(str(tmp_path / "no"), "cifar10")
    with pytest.raises(TableError, match=r"holds no files `000000\.pickle\.pbz2`"):
        from_nats(str(tmp_path), "cifar10")
    damaged = tmp_path / "damaged.pickle.pbz2"
    damaged.write_bytes(bz2.compress(pickle.dumps({"arch2infos": {0: topology(0)}}))[:2000])
    with pytest.raises(TableError, match="damaged or no pickle"):
        from_nats(str(damaged), "cifar10")
    with pytest.raises(TableError, match="no recipe of 90 epochs; it records 12, 200"):
        from_nats(str(simple(tmp_path / "s", [topology(0)])), "cifar10", recipe=90)
