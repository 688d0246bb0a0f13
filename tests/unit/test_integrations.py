"""A problem in other tools: a function, Optuna's objective, a trainable; spaces there and back; trackers; exports."""

from __future__ import annotations

import json
import pickle
import struct
import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from click.testing import CliRunner

import searchbench as sb
from searchbench.cli import main
from searchbench.cli.entry import cli
from searchbench.errors import InputError, SpaceError, StudyError
from searchbench.harness.driving.progress import Silent
from searchbench.integrations import (
    MLflow,
    TensorBoard,
    WandB,
    as_function,
    exported,
    from_distributions,
    from_param_space,
    optuna_objective,
    param_space,
    tracker,
    tune_trainable,
)
from searchbench.integrations.optuna import distribution
from searchbench.results.store import open_store

SPACE = {
    "lr": sb.Float(1e-4, 1, log=True),
    "layers": sb.Integer(1, 4),
    "opt": sb.Choice(["sgd", "adam", None]),
    "momentum": sb.Float(0.0, 0.9, when=sb.When("opt", "sgd")),
    "kernel": sb.Choice([(1, 3), (3, 3)]),
}


def gain(config, *, seed, epochs=None):
    assert ("momentum" in config) == (config["opt"] == "sgd")
    if config["layers"] == 4:
        raise RuntimeError("too deep")
    return config["layers"] + config.get("momentum", 0) + 0.01 * (epochs or 0) + config["kernel"][0]


PROBLEM = sb.Objective(gain, SPACE, metric="gain", better="higher", epochs=3)
PLAIN = {"lr": 0.1, "layers": 2, "opt": "adam", "kernel": (3, 3)}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("tracked")
    study = sb.Study("mine", PROBLEM, ["random", "hyperband"], seeds=2, budget=sb.Budget(epochs=18))
    results = sb.run(study, folder / "r.db", workers=0, progress=False, observers=[TensorBoard(folder / "runs")])
    return folder, results


def test_a_problem_is_asked_as_a_function_in_the_sense_of_its_metric() -> None:
    asked = as_function(PROBLEM)
    assert asked(PLAIN) == pytest.approx(5.03)
    assert asked(PLAIN, epochs=1) == pytest.approx(5.01)
    assert (asked.direction, asked.stops) == ("maximize", (1, 2, 3))
    assert pickle.loads(pickle.dumps(asked))(PLAIN) == asked(PLAIN)
    assert asked.judge(PLAIN) == pytest.approx(5.03)


def test_what_a_condition_switches_off_is_ignored_and_what_it_needs_is_wanted() -> None:
    asked = as_function(PROBLEM)
    assert asked(PLAIN | {"momentum": 0.5}) == asked(PLAIN)
    assert asked(PLAIN | {"opt": "sgd", "momentum": 0.5}) == pytest.approx(5.53)
    assert asked(PLAIN | {"opt": None}) == asked(PLAIN)
    with pytest.raises(SpaceError, match="momentum"):
        asked(PLAIN | {"opt": "sgd"})
    with pytest.raises(SpaceError, match="layers"):
        asked(PLAIN | {"layer": 2})


def test_an_evaluation_that_fails_says_why() -> None:
    with pytest.raises(sb.EvaluationFailed, match="too deep"):
        as_function(PROBLEM)(PLAIN | {"layers": 4})


def test_a_table_is_asked_like_a_function() -> None:
    asked = as_function(sb.Problem("nasbench201", "digits", "table"))
    assert asked.direction == "minimize"
    some = asked.space.sample(__import__("numpy").random.default_rng(0))
    assert 0 < asked(some.as_dict()) < 1


def test_optuna_asks_a_problem_conditions_included_and_survives_failures() -> None:
    objective = optuna_objective(PROBLEM)
    study = optuna.create_study(direction=objective.direction, sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=25, catch=sb.EvaluationFailed)
    states = {trial.state.name for trial in study.trials}
    assert states == {"COMPLETE", "FAIL"}
    assert all(("momentum" in t.params) == (t.params["opt"] == "sgd") for t in study.trials)
    best = objective.config(study.best_params)
    assert objective.asked(best) == study.best_value
    assert isinstance(best["kernel"], tuple)
    assert objective.params(objective.asked.architecture(best)) == study.best_params


def test_optuna_prunes_by_amounts_of_the_fidelity() -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=3.0))
    objective = optuna_objective(PROBLEM, pruning=True)
    for layers in (1, 3):
        study.enqueue_trial(
            objective.params(objective.asked.architecture(PLAIN | {"layers": layers, "kernel": (1, 3)}))
        )
    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "COMPLETE"]
    assert list(study.trials[1].intermediate_values) == [1, 2, 3]
    with pytest.raises(StudyError, match="no fidelity"):
        optuna_objective(sb.Objective(gain, SPACE), pruning=True)


def test_distributions_of_optuna_are_a_space_and_back() -> None:
    plain = {name: SPACE[name] for name in ("lr", "layers", "opt")}
    there = {d.name: distribution(d) for d in sb.Objective(gain, plain).resolve().space.decisions}
    again = {d.name: distribution(d) for d in from_distributions(there).values()}
    assert again == there
    with pytest.raises(StudyError, match=r"`a`.*Choice"):
        from_distributions({"a": optuna.distributions.IntDistribution(0, 10, step=5)})


def test_domains_of_ray_tune_are_a_space_and_back() -> None:
    from ray import tune

    domains = param_space(PROBLEM)
    again = from_param_space(domains)
    assert (again["lr"].low, again["lr"].log, again["layers"].high) == (1e-4, True, 4)
    assert from_param_space({"a": 3, "b": tune.grid_search([1, 2])})["b"].options == (1, 2)
    with pytest.raises(StudyError, match="`a`"):
        from_param_space({"a": tune.quniform(0, 1, 0.1)})


@pytest.mark.ray
@pytest.mark.slow
def test_ray_tune_runs_a_problem_as_a_trainable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray import tune

    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "0")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")

            def here(config, *, seed, epochs):  # a function of no module travels to the workers by itself
                return config["layers"] + config.get("momentum", 0) + 0.01 * epochs

            problem = sb.Objective(here, SPACE, metric="gain", better="higher", epochs=3)
            tuner = tune.Tuner(
                tune_trainable(problem, every_amount=True),
                param_space=param_space(problem),
                tune_config=tune.TuneConfig(metric="value", mode="max", num_samples=2, max_concurrent_trials=1),
                run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
            )
            found = tuner.fit()
    finally:
        ray.shutdown()
    assert [result.metrics["amount"] for result in found] == [3, 3]
    best = found.get_best_result()
    assert best.metrics["value"] == pytest.approx(as_function(problem)(best.config))


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The scalars of a folder's event files, by the format's own definition: length, checksum, message, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for file in folder.glob("events*"):
        raw = file.read_bytes()
        while raw:
            (length,) = struct.unpack("<Q", raw[:8])
            event, raw = Event.FromString(raw[12 : 12 + length]), raw[16 + length :]
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found[value.tag].append((event.step, value.simple_value))
    return found


def test_tensorboard_shows_every_trial_and_the_verdict(stored: tuple[Path, Any]) -> None:
    folder, results = stored
    runs = results.runs()
    assert len(runs) == len(list((folder / "runs").rglob("events*"))) == 4
    run = runs[(runs.strategy == "hyperband") & (runs.replicate == 1)].iloc[0]
    told = events(folder / "runs" / "mine" / "gain" / "hyperband" / "seed-1")
    trials = results.trials(run.run_id).query("status == 'ok'")
    assert told["value"] == [(n, pytest.approx(v)) for n, v in zip(trials.number, trials.value, strict=True)]
    assert [v for _, v in told["incumbent"]] == pytest.approx(trials.value.cummax().tolist())
    assert told["test"][0][1] == pytest.approx(run.test_error)


def test_tensorboard_itself_reads_what_was_written(stored: tuple[Path, Any]) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    place = stored[0] / "runs" / "mine" / "gain" / "random" / "seed-0"
    read = reader.EventAccumulator(str(place))
    read.Reload()
    assert [e.step for e in read.Scalars("value")] == [step for step, _ in events(place)["value"]]


def told_of(study: sb.Study, tmp_path: Path, observer: Any) -> Iterator[tuple[Any, list[tuple[int, float]]]]:
    """Each run of a study that a tracker is told of, with its trials that did not fail."""
    results = sb.run(study, tmp_path / "r.db", workers=0, progress=False, observers=[observer])
    for own in results.runs().itertuples():
        trials = results.trials(own.run_id).query("status == 'ok'")
        yield own, list(zip(trials.number, trials.value, strict=True))


STRANGE = sb.Study("mine: 50% of a/b", PROBLEM, ["random"], seeds=2, budget=sb.Budget(epochs=9))
"""Its name has what names of some trackers' projects cannot have."""


@pytest.mark.filterwarnings("ignore")  # the library's own, about its dependencies
def test_mlflow_reads_every_trial_and_the_verdict(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    told = dict(enumerate(told_of(STRANGE, tmp_path, MLflow(uri))))
    client = mlflow.MlflowClient(tracking_uri=uri)
    found = client.search_runs([client.get_experiment_by_name(STRANGE.name).experiment_id])
    assert sorted(int(run.data.params["seed"]) for run in found) == [0, 1]
    for run in found:
        own, trials = told[int(run.data.params["seed"])]
        assert run.data.metrics["test"] == pytest.approx(own.test_error)
        assert run.data.metrics["cost/epochs"] == 9
        assert run.info.start_time <= run.info.end_time
        assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "value")] == trials


@pytest.mark.filterwarnings("ignore")  # the library's own, about its dependencies
def test_a_place_where_mlflow_cannot_write_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    with pytest.raises(InputError, match=r"MLflow cannot write to `nosuch://x`.*sqlite:///mlflow.db"):
        MLflow("nosuch://x")


@pytest.mark.filterwarnings("ignore")  # the library's own, about its dependencies
def test_wandb_keeps_every_trial_and_the_verdict_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    told = {own.run_id: (own, trials) for own, trials in told_of(STRANGE, tmp_path, WandB(tmp_path / "wb"))}
    files = list((tmp_path / "wb").glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2
    for file in files:
        kept = list(written_by_wandb(file))
        (started,) = [record.run for record in kept if record.WhichOneof("record_type") == "run"]
        config = {update.key: json.loads(update.value_json) for update in started.config.update}
        own, trials = told[config["run"]]
        assert (started.project, config["study"]) == ("mine- 50- of a-b", STRANGE.name)
        logged = [record.history for record in kept if record.WhichOneof("record_type") == "history"]
        points = [{"".join(i.nested_key) or i.key: json.loads(i.value_json) for i in one.item} for one in logged]
        assert [(point["_step"], point["value"]) for point in points] == trials
        ends = [update for record in kept for update in record.summary.update if update.key == "test"]
        assert json.loads(ends[-1].value_json) == pytest.approx(own.test_error)


def written_by_wandb(file: Path) -> Iterator[Any]:
    """The records of a run's file: a header of 7 bytes, then the blocks of LevelDB's log format."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole, at = whole + data[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(whole)
            whole = b""


@pytest.mark.filterwarnings("ignore")  # the library's own, about its dependencies
@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_the_command_tells_a_tracker(tmp_path: Path, name: str) -> None:
    pytest.importorskip({"tensorboard": "tensorboardX"}.get(name, name))
    (tmp_path / f"tracked_by_{name}.py").write_text("def loss(config, *, seed):\n    return config['x'] ** 2\n")
    (tmp_path / "s.toml").write_text(
        f"""
        name = "tracked"
        seeds = 2
        budget = {{ evaluations = 5 }}
        problems = [{{ objective = "{tmp_path}/tracked_by_{name}.py:loss", space.x = {{ float = [0.0, 1.0] }} }}]
        strategies = [{{ use = "random" }}]
        """
    )
    place = f"sqlite:///{tmp_path / 'mlflow.db'}" if name == "mlflow" else tmp_path / "told"
    run = ["run", tmp_path / "s.toml", "--store", tmp_path / "r.db", "--workers", 0, "--no-report"]
    found = CliRunner().invoke(cli, [str(part) for part in (*run, "--track", f"{name}={place}")])
    assert found.exit_code == 0, found.output
    written = {"tensorboard": "told/**/events*", "mlflow": "mlflow.db", "wandb": "told/wandb/offline-run-*"}[name]
    assert len(list(tmp_path.glob(written))) == (1 if name == "mlflow" else 2)


def test_the_command_refuses_a_tracker_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('name = "s"\nseeds = 1\nbudget = { evaluations = 5 }\n' + PART_OF_A_STUDY)
    run = ["run", str(tmp_path / "s.toml"), "--store", str(tmp_path / "r.db"), "--track", "tensorbord"]
    found = CliRunner().invoke(cli, run)
    assert isinstance(found.exception, InputError)
    assert not (tmp_path / "r.db").exists()


PART_OF_A_STUDY = """
problems = [{ space = "nasbench201", task = "digits", estimator = "table" }]
strategies = [{ use = "random" }]
"""


def test_a_tracker_that_fails_is_told_no_more_and_the_study_goes_on(tmp_path: Path) -> None:
    class Broken(Silent):
        def finished(self, spec: Any, record: Any) -> None:
            raise OSError("disk full")

    study = sb.Study("mine", PROBLEM, ["random"], seeds=3, budget=sb.Budget(epochs=6))
    with pytest.warns(RuntimeWarning, match="Broken is told no more: OSError: disk full") as told:
        results = sb.run(study, tmp_path / "r.db", workers=0, progress=False, observers=[Broken()])
    assert len(told) == 1
    assert len(results.runs()) == 3


@pytest.mark.parametrize(
    ("text", "said"), [("tensorbord", "did you mean `tensorboard`"), ("tensorboard=", "names no place")]
)
def test_a_tracker_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tracker(text)


def test_the_seed_of_a_function_is_a_replicate_and_every_configuration_has_its_own_noise() -> None:
    given = []

    def noisy(config, *, seed, epochs):
        given.append(seed)
        return float(seed)

    problem = sb.Objective(noisy, {"x": sb.Float(0, 1)}, epochs=9)
    first, other = as_function(problem, seed=0), as_function(problem, seed=1)
    numbers = [first({"x": 0.1}), first({"x": 0.2}), other({"x": 0.1})]
    assert len(set(numbers)) == 3
    assert [first({"x": 0.2}), first({"x": 0.1}, epochs=3), as_function(problem)({"x": 0.1})] == [
        numbers[1], numbers[0], numbers[0],
    ]  # fmt: skip
    assert first.judge({"x": 0.1}) not in numbers
    assert not {0, 1} & set(given)


@pytest.mark.parametrize("name", ["trials.db", "trials.log", "trials.csv"])
def test_an_export_that_fails_midway_leaves_nothing(
    stored: tuple[Path, Any], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = exported._write

    def fails(storage: Any, called: str, *rest: Any) -> None:
        written(storage, called, *rest)
        if called.endswith("seed1"):
            raise OSError(28, "No space left on device")

    def never(frame: pd.DataFrame, place: Path, **_: Any) -> None:
        place.write_text("half a line")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exported, "_write", fails)
    monkeypatch.setattr(pd.DataFrame, "to_csv", never)
    form = exported.to_csv if name.endswith("csv") else partial(exported.to_optuna, trust=True)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        form(stored[0] / "r.db", None, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["trials.db", "trials.log"])
def test_optuna_reads_an_exported_study(stored: tuple[Path, Any], tmp_path: Path, name: str) -> None:
    folder, results = stored
    out = tmp_path / name
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "results",
                "export",
                "mine",
                "--store",
                str(folder / "r.db"),
                "--to",
                "optuna",
                "--out",
                str(out),
                "--trust",
            ]
        )
    assert ended.value.code == 0
    if out.suffix == ".log":
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        storage: Any = JournalStorage(JournalFileBackend(str(out)))
    else:
        storage = f"sqlite:///{out}"
    assert sorted(optuna.get_all_study_names(storage)) == [
        f"{s}-seed{r}" for s in ("hyperband", "random") for r in (0, 1)
    ]
    study = optuna.load_study(study_name="random-seed1", storage=storage)
    run = results.runs().query("strategy == 'random' and replicate == 1").iloc[0]
    trials = results.trials(run.run_id)
    assert [t.value for t in study.trials if t.value is not None] == trials.value.dropna().tolist()
    assert study.direction.name == "MAXIMIZE"
    assert study.user_attrs["test"] == run.test_error
    assert {t.state.name for t in study.trials} <= {"COMPLETE", "FAIL"}


def test_an_exported_study_can_be_imported_again(stored: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = stored
    out = tmp_path / "trials.db"
    from searchbench.integrations.exported import to_optuna

    to_optuna(folder / "r.db", "mine", out, trust=True)
    with pytest.raises(SystemExit) as ended:
        main(["results", "import", str(out), "--store", str(tmp_path / "s.db"), "--name", "again"])
    assert ended.value.code == 0
    with open_store(tmp_path / "s.db") as store:
        assert {(r.strategy, r.replicate) for r in store.runs("again")} == {
            (s, r) for s in ("random", "hyperband") for r in (0, 1)
        }


def test_trials_are_exported_as_a_table(stored: tuple[Path, Any], tmp_path: Path, capsys: Any) -> None:
    folder, results = stored
    out = tmp_path / "trials.csv"
    command = ["results", "export", "mine", "--store", str(folder / "r.db"), "--to", "csv", "--out", str(out)]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 0
    frame = pd.read_csv(out)
    assert len(frame) == len(results.trials())
    before = out.read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert "exists" in capsys.readouterr().err
    assert out.read_bytes() == before
