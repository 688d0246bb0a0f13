"""LCBench, YAHPO and NAS-Bench-301 are read from files in the form in which they are published."""

from __future__ import annotations

import json
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import searchbench as sb
from searchbench.cli.entry import cli
from searchbench.errors import InputError
from searchbench.seeds import Seeds
from searchbench.spaces.darts.space import darts
from searchbench.tables.published_settings import FIRST_EDGE, from_lcbench, from_nasbench301, from_yahpo
from searchbench.tables.settings import write
from searchbench.tasks.task import NoTask
from searchbench.trial import FULL, Fidelity

SEEDS = Seeds("test", 0)
EPOCHS = 6


def drawn(count: int = 30) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "batch_size": int(rng.integers(16, 513)), "learning_rate": float(10 ** rng.uniform(-4, -1)),
            "momentum": float(rng.uniform(0.1, 0.99)), "weight_decay": float(rng.uniform(1e-5, 0.1)),
            "num_layers": int(rng.integers(1, 6)), "max_units": int(rng.integers(64, 1025)),
            "max_dropout": float(rng.uniform(0, 1)),
        }
        for _ in range(count)
    ]  # fmt: skip


def accuracy(config: dict[str, Any], epoch: int) -> float:
    return 90 - 5 * (np.log10(config["learning_rate"]) + 2) ** 2 - 20 / (epoch + 1)


@pytest.fixture
def lcbench(tmp_path: Path) -> Path:
    """Two data sets; a log begins at epoch 0, before any training, and one training has ended early."""
    fixed = {"optimizer": "sgd", "network": "shapedmlpnet", "cosine_annealing_T_max": 50}
    content: dict[str, Any] = {}
    for data in ("Fashion-MNIST", "adult"):
        content[data] = {}
        for number, config in enumerate(drawn()):
            last = EPOCHS if number else 3
            log = {
                "epoch": list(range(last + 1)),
                "time": [2.0 * (epoch + 1) for epoch in range(last + 1)],
                "Train/val_accuracy": [accuracy(config, epoch) for epoch in range(last + 1)],
                "Train/test_result": [accuracy(config, epoch) - 1 for epoch in range(last + 1)],
                "Train/loss": [1.0] * (last + 1),
            }
            results = {"classes": 10, "instances": 70000, "OpenML_task_id": 146825}
            content[data][str(number)] = {"config": config | fixed, "log": log, "results": results}
    path = tmp_path / "data_2k_lw.json"
    path.write_text(json.dumps(content))
    return path


def test_lcbench_is_a_curve_of_each_setting(lcbench: Path, tmp_path: Path) -> None:
    settings = from_lcbench(str(lcbench), "Fashion-MNIST", "nearest")
    table = write(settings, tmp_path / "lc.parquet")
    assert [d.name for d in settings.space.decisions] == list(drawn(1)[0])
    assert table.stops(NoTask()) == (1, 2, 3, 4, 5, 6)
    assert table.charges() == ("evaluations", "epochs", "seconds")
    opened = table.open(settings.space, NoTask(), SEEDS)
    config = drawn()[4]
    setting = settings.space.architecture(config)
    assert opened.evaluate(setting, opened.complete(FULL), 0)[0].value == pytest.approx(-accuracy(config, 6))
    measured, cost = opened.evaluate(setting, Fidelity(epochs=2), 0)
    assert (measured.value, cost.epochs) == (pytest.approx(-accuracy(config, 2)), 2)
    continued = opened.price(setting, Fidelity(epochs=6), Fidelity(epochs=2))
    assert (continued.epochs, continued.simulated_s) == (4, pytest.approx(14 * 4 / 6))
    verdict = table.judge().open(settings.space, NoTask(), SEEDS).verdict(setting)
    assert verdict.test_error == pytest.approx(-(accuracy(config, 6) - 1))


def test_a_training_that_ended_early_failed_from_there_on(lcbench: Path, tmp_path: Path) -> None:
    settings = from_lcbench(str(lcbench), "adult", "nearest")
    opened = write(settings, tmp_path / "lc.parquet").open(settings.space, NoTask(), SEEDS)
    setting = settings.space.architecture(drawn()[0])
    assert opened.evaluate(setting, Fidelity(epochs=3), 0)[0].value
    with pytest.raises(sb.EvaluationFailed, match="no result"):
        opened.evaluate(setting, Fidelity(epochs=4), 0)


def test_the_printed_lines_are_searched_with_many_fidelities(lcbench: Path, tmp_path: Path) -> None:
    out = tmp_path / "lc.parquet"
    command = ["table", "import", str(lcbench), "--format", "lcbench", "--data", "adult", "--out", str(out)]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert "30 settings of 7 decisions" in done.output
    parts = tomllib.loads("\n".join(line for line in done.output.splitlines() if line.startswith(("space", "estim"))))
    problem = sb.Problem(parts["space"], "digits", parts["estimator"])
    study = sb.Study("lc", problem, ["random", "hyperband", "bohb"], seeds=2, budget=sb.Budget(epochs=40))
    runs = sb.run(study, tmp_path / "r.db", workers=0, progress=False).runs()
    assert set(runs.status) == {"ok"}
    assert runs.test_status.tolist() == ["ok"] * 6


@pytest.fixture
def yahpo(tmp_path: Path) -> Path:
    """Rows of the scenario `lcbench`: an instance and epoch each, accuracies in percent, seconds so far."""
    rows = []
    for task in ("3945", "7593"):
        for config in drawn(20):
            for epoch in range(1, EPOCHS + 1):
                seen = accuracy(config, epoch)
                scores = {"val_accuracy": seen, "val_balanced_accuracy": seen - 2, "test_balanced_accuracy": seen - 3}
                losses = {"val_cross_entropy": 1 - seen / 100, "test_cross_entropy": 1.1 - seen / 100}
                rows.append({"OpenML_task_id": task, "epoch": epoch, **config, "time": 3.0 * epoch, **scores, **losses})
    path = tmp_path / "data.csv"
    pd.DataFrame(rows).sample(frac=1, random_state=0).to_csv(path, index=False)
    return path


def test_rows_of_yahpo_become_settings_with_curves(yahpo: Path, tmp_path: Path) -> None:
    settings = from_yahpo(str(yahpo), "7593", "nearest")
    assert {d.name for d in settings.space.decisions} == set(drawn(1)[0])
    table = write(settings, tmp_path / "y.parquet")
    assert table.stops(NoTask()) == (1, 2, 3, 4, 5, 6)
    opened = table.open(settings.space, NoTask(), SEEDS)
    config = drawn(20)[7]
    setting = settings.space.architecture({name: config[name] for name in settings.texts})
    assert opened.evaluate(setting, Fidelity(epochs=3), 0)[0].value == pytest.approx(2 - accuracy(config, 3))
    loss = from_yahpo(str(yahpo), "7593", "nearest", "val_cross_entropy", "test_cross_entropy")
    assert not loss.table.higher_is_better


def test_a_config_space_beside_yahpos_rows_gives_types_and_ranges(yahpo: Path) -> None:
    hyperparameters = [
        {"name": "OpenML_task_id", "type": "categorical", "choices": ["3945", "7593"], "default": "3945"},
        {"name": "batch_size", "type": "uniform_int", "log": True, "lower": 16, "upper": 512, "default": 91},
        {"name": "epoch", "type": "uniform_int", "log": False, "lower": 1, "upper": 52, "default": 26},
        {"name": "learning_rate", "type": "uniform_float", "log": True, "lower": 1e-4, "upper": 0.1, "default": 0.003},
        {"name": "max_dropout", "type": "uniform_float", "log": False, "lower": 0.0, "upper": 1.0, "default": 0.5},
        {"name": "max_units", "type": "uniform_float", "log": True, "lower": 64.0, "upper": 1024.0, "default": 256.0},
        {"name": "momentum", "type": "uniform_float", "log": False, "lower": 0.1, "upper": 0.99, "default": 0.545},
        {"name": "num_layers", "type": "uniform_int", "log": False, "lower": 1, "upper": 5, "default": 3},
        {"name": "weight_decay", "type": "uniform_float", "log": False, "lower": 1e-5, "upper": 0.1, "default": 0.05},
    ]
    content = {"hyperparameters": hyperparameters, "conditions": [], "forbiddens": [], "json_format_version": 0.2}
    (yahpo.parent / "config_space.json").write_text(json.dumps(content))
    decisions = {d.name: d for d in from_yahpo(str(yahpo), "3945", "nearest").space.decisions}
    assert decisions["max_units"] == sb.Float("max_units", 64.0, 1024.0, True)
    assert decisions["batch_size"] == sb.Integer("batch_size", 16, 512, True)
    assert "epoch" not in decisions


CELL = "NetworkSelectorDatasetInfo:darts:"
RECORDED = {
    "edge_normal_0": "skip_connect", "edge_normal_1": "sep_conv_3x3", "edge_reduce_0": "max_pool_3x3",
    "edge_reduce_1": "avg_pool_3x3", "inputs_node_normal_3": "0_1", "inputs_node_normal_4": "0_2",
    "inputs_node_normal_5": "1_2", "inputs_node_reduce_3": "0_1", "inputs_node_reduce_4": "1_2",
    "inputs_node_reduce_5": "2_3", "edge_normal_10": "sep_conv_3x3", "edge_normal_11": "skip_connect",
    "edge_normal_2": "sep_conv_3x3", "edge_normal_3": "skip_connect", "edge_normal_5": "dil_conv_3x3",
    "edge_normal_7": "dil_conv_5x5", "edge_reduce_11": "sep_conv_3x3", "edge_reduce_12": "dil_conv_3x3",
    "edge_reduce_2": "skip_connect", "edge_reduce_3": "dil_conv_5x5", "edge_reduce_6": "sep_conv_3x3",
    "edge_reduce_7": "sep_conv_5x5",
}  # fmt: skip
"""Cells of the one result that the benchmark's own repository holds."""
GENOTYPE = (
    "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 1), "
    "('dil_conv_3x3', 0), ('dil_conv_5x5', 2), ('sep_conv_3x3', 1), ('skip_connect', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('avg_pool_3x3', 1), ('skip_connect', 0), ('dil_conv_5x5', 1), ('sep_conv_3x3', 1), "
    "('sep_conv_5x5', 2), ('sep_conv_3x3', 2), ('dil_conv_3x3', 3)], reduce_concat=[2, 3, 4, 5])"
)


def result(cells: dict[str, str], seen: float, judged: float, runtime: float, layers: int = 8) -> str:
    config = {f"{CELL}{name}": value for name, value in cells.items()}
    config |= {f"{CELL}layers": layers, f"{CELL}init_channels": 32, f"{CELL}auxiliary": "False"}
    config |= {"SimpleLearningrateSchedulerSelector:cosine_annealing:T_max": 98, "OptimizerSelector:optimizer": "sgd"}
    info = [{"val_accuracy": seen, "epochs": 98, "model_parameters": 836_458}]
    whole = {"final_metric_score": -seen, "optimized_hyperparamater_config": config, "budget": 98, "info": info}
    return json.dumps(whole | {"test_accuracy": judged, "runtime": runtime})


def cells_of(seed: int) -> dict[str, str]:
    values = darts().sample(np.random.default_rng(seed)).as_dict()
    found = {}
    for cell in ("normal", "reduce"):
        for node, first in FIRST_EDGE.items():
            pair = "0,1" if node == 2 else values[f"{cell}.{node}.inputs"]
            if node > 2:
                found[f"inputs_node_{cell}_{node}"] = pair.replace(",", "_")
            for place, source in zip(("first", "second"), pair.split(","), strict=True):
                found[f"edge_{cell}_{first + int(source)}"] = values[f"{cell}.{node}.{place}"]
    return found


@pytest.fixture
def nasbench301(tmp_path: Path) -> Path:
    folder = tmp_path / "nb_301" / "rs" / "run_1" / "results_fidelity_0"
    folder.mkdir(parents=True)
    (folder / "results_0.json").write_text(result(RECORDED, 92.0, 91.0, 3600))
    (folder / "results_1.json").write_text(result(RECORDED, 94.0, 93.0, 3800))
    (folder / "results_2.json").write_text(result(RECORDED, 97.68, 97.54, 365_136, layers=20))
    for number in range(3, 24):
        (folder / f"results_{number}.json").write_text(
            result(cells_of(number), 90 + number / 10, 89 + number / 10, 3000)
        )
    return tmp_path / "nb_301"


def test_nasbench301_is_the_mean_of_a_cells_trainings_of_one_size(nasbench301: Path, tmp_path: Path) -> None:
    settings = from_nasbench301(str(nasbench301), "nearest")
    assert settings.left_out == "1 training of other sizes than 8 layers, 32 channels and 98 epochs"
    assert len(settings.numbers["validation"]) == 22
    table, space = write(settings, tmp_path / "nb.parquet"), darts()
    opened, cell = table.open(space, NoTask(), SEEDS), space.parse(GENOTYPE)
    measured, cost = opened.evaluate(cell, opened.complete(FULL), 0)
    assert (measured.value, cost.epochs, cost.simulated_s) == (pytest.approx(-0.93), 98, 3700)
    assert table.judge().open(space, NoTask(), SEEDS).verdict(cell).test_error == pytest.approx(-0.92)


def test_the_archive_of_nasbench301_is_read_like_its_folder(nasbench301: Path, tmp_path: Path) -> None:
    archive = tmp_path / "nasbench_301.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(nasbench301.rglob("*.json")):
            packed.write(file, file.relative_to(tmp_path))
    out = tmp_path / "nb.parquet"
    command = ["table", "import", str(archive), "--format", "nasbench301", "--out", str(out)]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert "22 settings of 22 decisions; left out: 1 training " in done.output
    parts = tomllib.loads("\n".join(line for line in done.output.splitlines() if line.startswith(("space", "estim"))))
    assert parts["space"] == "darts"
    study = sb.Study("nb", sb.Problem("darts", "digits", parts["estimator"]), ["random"], 1, sb.Budget(evaluations=3))
    assert sb.run(study, tmp_path / "r.db", workers=0, progress=False).runs().test_status.tolist() == ["ok"]


def changed(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_faulty_files_are_refused_by_name_and_nothing_is_written(
    lcbench: Path, yahpo: Path, nasbench301: Path, tmp_path: Path
) -> None:
    result_3 = nasbench301 / "rs" / "run_1" / "results_fidelity_0" / "results_3.json"
    changed(lcbench, lambda content: content["adult"]["7"]["log"].pop("Train/test_result"))
    changed(result_3, lambda content: content["optimized_hyperparamater_config"].pop(f"{CELL}inputs_node_reduce_4"))
    (tmp_path / "no.json").write_text("[1, 2]")
    tries = [
        (lcbench, "lcbench", [], "holds 2 data sets (Fashion-MNIST, adult); name one by --data"),
        (lcbench, "lcbench", ["--data", "adlt"], "did you mean `adult`"),
        (lcbench, "lcbench", ["--data", "adult"], "setting 7: has no `Train/test_result`"),
        (tmp_path / "no.json", "lcbench", [], "must hold an object of data sets"),
        (yahpo, "yahpo", ["--data", "7593", "--validation", "val_acuracy"], "did you mean `val_accuracy`"),
        (yahpo, "yahpo", ["--parameters", "lr"], "the settings of yahpo are known"),
        (nasbench301, "nasbench301", [], "has no `NetworkSelectorDatasetInfo:darts:inputs_node_reduce_4`"),
        (tmp_path / "nowhere", "nasbench301", [], "nowhere"),
    ]
    out = tmp_path / "out.parquet"
    for path, kind, more, said in tries:
        command = ["table", "import", str(path), "--format", kind, "--out", str(out), *more]
        error = CliRunner().invoke(cli, command).exception
        assert isinstance(error, InputError), (kind, error)
        assert said in error.command, error.command
    assert not list(tmp_path.glob("*.parquet"))
