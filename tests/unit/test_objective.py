"""Your function as a problem: what it is given, what it may answer, what is refused before anything runs."""

from __future__ import annotations

import json
import math
import pickle
import random
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import searchbench as sb
from searchbench.cli import main
from searchbench.errors import InputError, StudyError
from searchbench.estimators.objective.identity import identity
from searchbench.harness.declared.objective import posed
from searchbench.results.store import open_store
from searchbench.seeds import Seeds
from searchbench.trial import FULL

SPACE = {"lr": sb.Float(1e-5, 1, log=True), "layers": sb.Integer(1, 4), "opt": sb.Choice(["sgd", "adam"])}


def loss(config, *, seed, epochs=None):
    """A bowl with noise that training longer lowers."""
    bowl = (math.log10(config["lr"]) + 2) ** 2 + abs(config["layers"] - 2) + 0.2 * (config["opt"] == "sgd")
    return bowl + (0 if epochs is None else 1 / epochs) + random.Random(seed).gauss(0, 0.01)


def run(problem, tmp_path, *, strategies=("random",), seeds=2, store="r.db", **budget):
    study = sb.Study("mine", problem, strategies, seeds=seeds, budget=sb.Budget(**(budget or {"evaluations": 6})))
    return sb.run(study, tmp_path / store, workers=0)


def evaluations(problem: sb.Objective) -> Any:
    resolved = problem.resolve()
    return resolved.estimator.open(resolved.space, resolved.task, Seeds("s", 0))


def measure(problem: sb.Objective, fidelity: sb.Fidelity = FULL, seed: int = 1, resume: Any = None) -> Any:
    estimator = evaluations(problem)
    first = next(iter(problem.resolve().space.neighbours(some(problem))))
    return estimator.evaluate(first, estimator.complete(fidelity), seed, resume)


def some(problem: sb.Objective, **values: Any) -> sb.Architecture:
    import numpy as np

    return problem.resolve().space.sample(np.random.default_rng(0))


def test_the_example_of_ten_lines_runs_five_strategies_of_four_libraries(tmp_path: Path) -> None:
    problem = sb.Objective(loss, space=SPACE, metric="log loss", better="lower", epochs=27)
    study = sb.Study("mine", problem, ["random", "optuna:tpe", "gp", "bohb", "hyperband"], seeds=2,
                     budget=sb.Budget(epochs=120))  # fmt: skip
    board = sb.run(study, tmp_path / "r.db", workers=0).leaderboard()
    assert set(board.strategy) == {"random", "optuna:tpe", "gp", "bohb", "hyperband"}
    assert (board.n == 2).all()
    assert (board.failed == 0).all()
    assert set(board.problem) == {"loss"}


def test_strategies_of_many_fidelities_ask_at_many_epochs_and_pay_for_them(tmp_path: Path) -> None:
    results = run(sb.Objective(loss, SPACE, epochs=27), tmp_path, strategies=["hyperband"], seeds=1, epochs=300)
    trials = results.trials(results.runs().run_id[0])
    assert set(trials.fidelity_epochs) >= {1.0, 27.0}
    assert trials.fidelity_epochs.sum() == trials.spent_epochs.iloc[-1] <= 300


def test_a_conditional_hyper_parameter_is_in_the_configuration_only_where_it_is_active(tmp_path: Path) -> None:
    seen = []

    def probe(config):
        seen.append(dict(config))
        return 0.0

    space = {"momentum": sb.Float(0, 1, when=sb.When("opt", "sgd")), "opt": sb.Choice(["sgd", "adam"])}
    run(sb.Objective(probe, space), tmp_path, strategies=["random", "optuna:tpe", "gp"], evaluations=8)
    assert {frozenset(config) for config in seen} == {frozenset({"opt"}), frozenset({"opt", "momentum"})}
    assert all(("momentum" in config) == (config["opt"] == "sgd") for config in seen)


def test_the_seed_differs_between_evaluations_and_repeats_with_the_study(tmp_path: Path) -> None:
    seen: list[int] = []

    def probe(config, *, seed):
        seen.append(seed)
        return float(seed % 7)

    problem = sb.Objective(probe, {"a": sb.Choice([1, 2])}, version="1")
    run(problem, tmp_path, seeds=1)
    first = seen[:]
    assert len(set(first)) == len(first)
    assert all(0 <= seed < 2**31 for seed in first)
    run(problem, tmp_path, seeds=1, store="again.db")
    assert seen == first * 2


def test_what_is_called_test_is_judged_and_never_shown_to_a_search(tmp_path: Path) -> None:
    def answer(config, *, seed):
        return {"loss": config["x"], "accuracy": 1 - config["x"], "test": 10 + config["x"]}

    problem = sb.Objective(answer, {"x": sb.Float(0, 1)})
    measured, _ = measure(problem)
    assert set(measured.metrics) == {"accuracy"}
    results = run(problem, tmp_path)
    runs = results.runs()
    assert (runs.test_error == 10 + runs.value).all()
    assert "metric_test" not in results.trials(runs.run_id[0])


def test_more_is_better_is_minimised_mirrored() -> None:
    problem = sb.Objective(lambda config: {"accuracy": config["x"]}, {"x": sb.Float(0, 1)}, "accuracy", better="higher")
    measured, _ = measure(problem)
    assert -1 <= measured.value < 0
    assert problem.resolve().metric == sb.Metric("accuracy", better="higher")


def test_the_judge_asks_afresh_on_seeds_of_its_own_and_takes_the_mean(tmp_path: Path) -> None:
    seen: list[int] = []

    def probe(config, *, seed):
        seen.append(seed)
        return float(seed)

    run(sb.Objective(probe, {"a": sb.Choice([1, 2])}, test_repeats=3), tmp_path, seeds=1, evaluations=4)
    tried, searched, judged = seen[:1], seen[1:5], seen[5:]
    assert len(judged) == 3
    assert not set(judged) & set(searched + tried)


def test_a_test_function_of_its_own_is_judged_by(tmp_path: Path) -> None:
    problem = sb.Objective(loss, SPACE, test=lambda config: 42.0, epochs=3)
    assert set(run(problem, tmp_path).runs().test_error) == {42.0}


def going_on(config, *, seed, steps, checkpoint):
    file = checkpoint / "steps"
    done = int(file.read_text()) if file.exists() else 0
    file.write_text(str(steps))
    return {"loss": 1.0 / steps + config["x"], "done": done}


def test_a_function_that_takes_a_checkpoint_goes_on_from_it_and_only_the_increment_is_charged(tmp_path: Path) -> None:
    problem = sb.Objective(going_on, {"x": sb.Float(0, 1)}, steps=9)
    results = run(problem, tmp_path, strategies=["hyperband"], seeds=1, epochs=60)
    trials = results.trials(results.runs().run_id[0])
    continued = trials[trials.resumed.notna()]
    assert len(continued) > 0
    earlier = trials.set_index("number").loc[continued.resumed.astype(int)]
    assert (continued.metric_done.to_numpy() == earlier.fidelity_epochs.to_numpy()).all()
    fresh = trials[trials.resumed.isna()]
    assert (fresh.metric_done == 0).all()
    increments = continued.fidelity_epochs.to_numpy() - earlier.fidelity_epochs.to_numpy()
    charged = fresh.fidelity_epochs.sum() + increments.sum()
    assert charged == trials.spent_epochs.iloc[-1]


def test_one_that_takes_none_is_asked_from_the_beginning_and_charged_in_full(tmp_path: Path) -> None:
    results = run(sb.Objective(loss, SPACE, epochs=9), tmp_path, strategies=["hyperband"], seeds=1, epochs=60)
    trials = results.trials(results.runs().run_id[0])
    assert trials.resumed.notna().any()
    assert trials.fidelity_epochs.sum() == trials.spent_epochs.iloc[-1]


def test_a_fidelity_may_have_any_name_and_amounts_of_its_own() -> None:
    problem = sb.Objective(lambda config, subset: subset, {"x": [1, 2]}, subset=[0.1, 1.0, 0.3])
    assert problem.resolve().stops == (0.1, 0.3, 1.0)
    assert measure(problem, sb.Fidelity(0.3))[0].value == 0.3
    with pytest.raises(InputError, match=r"`subset` can be: 0\.1, 0\.3, 1"):
        evaluations(problem).complete(sb.Fidelity(0.2))


@pytest.mark.parametrize(
    ("function", "named", "said"),
    [
        (lambda: 1, {}, "must take the configuration as its first argument"),
        (lambda config, rate: 1, {}, "needs the argument `rate`"),
        (lambda config: 1, {"epochs": 9}, "takes no `epochs`"),
        (3, {}, "must be a callable"),
        (loss, {"seed": 3}, "cannot be called `seed`"),
        (loss, {"epochs": 0}, "full amount"),
        (loss, {"epochs": 2.5}, "counted from 1"),
        (loss, {"epochs": 3, "steps": 4}, "one fidelity"),
        (loss, {"metrik": "x"}, "did you mean `metric`"),
        (loss, {"better": "up"}, '"lower" or "higher"'),
        (loss, {"test_repeats": 0}, "positive integer"),
        ("no_such_module_here:loss", {}, "cannot be imported"),
        (None, {}, "either a function or a command"),
        (loss, {"command": "true"}, "either a function or a command"),
    ],
)
def test_what_cannot_be_called_is_refused_where_it_is_declared(function: Any, named: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sb.Objective(function, {"x": sb.Float(0, 1)}, **named).resolve()


def fails(config):
    raise ZeroDivisionError("nothing to divide by")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (fails, r"raises ZeroDivisionError: nothing to divide by \(test_objective.py, line \d+\), in each of 3 tries"),
        (lambda config: "0.5", "must be a number, but is '0.5'"),
        (lambda config: None, "must be a number, but is None"),
        (lambda config: True, "must be a number, but is True"),
        (lambda config: [0.5], r"must be a number, but is \[0.5\]"),
        (lambda config: {"error": 0.5}, "answers `error`, but not `loss`"),
        (lambda config: {"loss": 0.5, "model": "m.pt"}, "`model` must be a number"),
        (lambda config: math.nan, "answers nan, in each of 3 tries"),
    ],
)
def test_a_broken_function_is_told_at_once_and_nothing_is_changed(function: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=said):
        run(sb.Objective(function, {"x": sb.Float(0, 1)}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_that_fails_at_some_configurations_only_is_run_and_its_failures_are_values(tmp_path: Path) -> None:
    def sometimes(config, *, seed):
        if config["x"] < 0.5:
            raise FloatingPointError("diverged")
        return config["x"]

    runs = run(sb.Objective(sometimes, {"x": sb.Float(0, 1)}), tmp_path, evaluations=20)
    statuses = runs.trials(runs.runs().run_id[0]).status
    assert set(statuses) == {"ok", "error"}


def test_a_budget_on_what_is_never_charged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="the budget limits `epochs`, on which problem `fails` charges nothing"):
        run(sb.Objective(fails, {"x": sb.Float(0, 1)}), tmp_path, epochs=10)


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    import numpy as np
    import torch

    for value in (np.float32(0.5), np.array(0.5), torch.tensor(0.5), np.int64(2), 3):
        assert measure(sb.Objective(lambda config, v=value: v, {"x": [1, 2]}))[0].value == float(value)


# -- what tells one from another ------------------------------------------------------------------------------------


def made(text: str, tmp_path: Path, name: str) -> Any:
    path = tmp_path / f"{name}.py"
    path.write_text(textwrap.dedent(text))
    sys.path.insert(0, str(tmp_path))
    try:
        return __import__(name).f
    finally:
        sys.path.remove(str(tmp_path))


PLAIN = """
    SCALE = 2
    def helper(x):
        return SCALE * x
    def f(config):
        return helper(config["x"])
"""


def test_the_fingerprint_follows_the_source_and_what_it_refers_to(tmp_path: Path) -> None:
    changes = {
        "same": PLAIN.replace("return helper", "# a comment\n        return  helper"),
        "other": PLAIN.replace('["x"]', '["y"]'),
        "deeper": PLAIN.replace("SCALE * x", "SCALE + x"),
        "constant": PLAIN.replace("SCALE = 2", "SCALE = 3"),
    }
    before = identity(made(PLAIN, tmp_path, "plain_objective"))
    found = {name: identity(made(text, tmp_path, f"{name}_objective")) for name, text in changes.items()}
    assert found["same"] == before
    assert all(found[name] != before for name in ("other", "deeper", "constant"))


def test_the_fingerprint_follows_closures_defaults_and_arrays() -> None:
    import numpy as np

    def closing(over):
        return lambda config: over

    array = np.arange(5.0)
    pairs = [(closing(1), closing(2)), (closing([1]), closing([2])), (closing(array), closing(array + 1))]
    for one, other in pairs:
        assert identity(one) != identity(other)
        assert identity(one) == identity(one)
    assert identity(closing(array)) == identity(closing(array.copy()))


def test_a_version_stands_in_for_the_source() -> None:
    of = [sb.Objective(lambda config: 1.0, SPACE, version="1"), sb.Objective(lambda config: 2.0, SPACE, version="1")]
    assert of[0].resolve().fingerprint == of[1].resolve().fingerprint
    assert sb.Objective(lambda config: 1.0, SPACE, version="2").resolve().fingerprint != of[0].resolve().fingerprint


def test_running_changes_no_fingerprint(tmp_path: Path) -> None:
    calls: list[int] = []

    def counting(config):
        calls.append(1)
        return config["x"]

    problem = sb.Objective(counting, {"x": sb.Float(0, 1)})
    run(problem, tmp_path)
    again = pickle.loads(pickle.dumps(sb.Objective(loss, SPACE)))
    assert problem.resolve().fingerprint == problem.resolve().fingerprint
    assert again == sb.Objective(loss, SPACE)
    assert calls


def test_an_objective_prints_as_the_code_that_makes_it_again() -> None:
    problem = sb.Objective(loss, SPACE, metric="gain", unit="dB", better="higher", epochs=27, label="mine")
    names = {"Objective": sb.Objective, "Use": sb.Use, "Metric": sb.Metric}
    assert eval(repr(problem), names) == problem
    assert posed(problem.given()) == problem


def test_a_recorded_study_is_rerun_bit_for_bit_from_its_store(tmp_path: Path) -> None:
    from searchbench.harness.verify import verify

    run(sb.Objective(loss, SPACE, epochs=9), tmp_path, strategies=["random", "hyperband"], epochs=40)
    assert all(verdict.identical for verdict in verify(tmp_path / "r.db", "mine", 4, draw=1, workers=0, trust=True))


def test_a_lambda_cannot_be_rerun_by_another_program_and_says_so(tmp_path: Path) -> None:
    from searchbench.harness.verify import verify

    run(sb.Objective(lambda config: config["x"], {"x": sb.Float(0, 1)}), tmp_path)
    with pytest.raises(StudyError, match="exists only in the program that declared it"):
        verify(tmp_path / "r.db", "mine", 1, workers=0)


@pytest.mark.ray
def test_a_local_function_runs_on_ray(tmp_path: Path) -> None:
    offset = 5.0
    problem = sb.Objective(lambda config, *, seed: config["x"] + offset, {"x": sb.Float(0, 1)})
    study = sb.Study("mine", problem, ["random"], seeds=2, budget=sb.Budget(evaluations=5))
    runs = sb.run(study, tmp_path / "r.db", workers=1).runs()
    assert ((runs.test_error >= 5) & (runs.test_error <= 6)).all()
    assert set(runs.fingerprint) == {problem.resolve().fingerprint}


# -- study files ----------------------------------------------------------------------------------------------------

FILE = """
name = "mine"
seeds = 2
budget = { evaluations = 5 }

[[problems]]
objective = "OBJECTIVE"
space = { lr = { float = [1e-5, 1.0], log = true }, layers = { int = [1, 4] }, opt = ["sgd", "adam"] }
metric = "log loss"
epochs = 9

[[strategies]]
use = "random"
"""


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return tmp_path


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.mark.parametrize("path", ["objective_of_a_file:loss", "parts/objective_of_a_path.py:loss"])
def test_a_study_file_names_the_function(path: str, in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = "def loss(config, *, seed, epochs):\n    return config['lr'] / epochs\n"
    (in_folder / "parts").mkdir()
    (in_folder / "objective_of_a_file.py").write_text(source)
    (in_folder / "parts" / "objective_of_a_path.py").write_text(source)
    (in_folder / "study.toml").write_text(FILE.replace("OBJECTIVE", path))
    assert command("run", "study.toml", "--workers", "0", "--no-report") == 0
    said = capsys.readouterr()
    assert "mine · loss · budget" in said.out


def test_a_study_file_may_name_a_whole_objective(in_folder: Path) -> None:
    (in_folder / "whole_objective.py").write_text(
        "import searchbench as sb\n"
        "problem = sb.Objective(lambda config: config['x'], {'x': sb.Float(0, 1)}, label='whole')\n"
    )
    text = FILE.replace("OBJECTIVE", "whole_objective:problem").replace('metric = "log loss"\nepochs = 9\n', "")
    lines = [line for line in text.splitlines() if not line.startswith("space")]
    (in_folder / "study.toml").write_text("\n".join(lines))
    assert command("run", "study.toml", "--workers", "0", "--no-report") == 0


@pytest.mark.parametrize(
    ("source", "change", "said"),
    [
        ("def loss(config, *, seed, epochs):\n    return 'text'\n", None, "must be a number, but is 'text'"),
        ("def loss(config, *, seed, epochs):\n    return 1 / 0\n", None, "raises ZeroDivisionError"),
        ("def loss(config, *, seed):\n    return 1.0\n", None, "takes no `epochs`"),
        ("def loss(\n", None, "SyntaxError"),
        ("raise RuntimeError('at import')\n", None, "RuntimeError: at import"),
        ("def other(config):\n    return 1.0\n", None, "has no attribute 'loss'"),
        ("def loss(config, epochs):\n    return 1.0\n", ("epochs = 9", 'epochs = 9\ntask = "digits"'), "has no `task`"),
        ("def loss(config, epochs):\n    return 1.0\n", ("epochs = 9", 'metrics = "x"'), "did you mean `metric`"),
    ],
)
def test_bad_input_is_one_message_and_status_2_and_changes_nothing(
    source: str, change: Any, said: str, in_folder: Path, capsys: pytest.CaptureFixture[str], request: Any
) -> None:
    module = f"bad_objective_{abs(hash(request.node.name))}"
    (in_folder / f"{module}.py").write_text(source)
    text = FILE.replace("OBJECTIVE", f"{module}:loss")
    (in_folder / "study.toml").write_text(text if change is None else text.replace(*change))
    before = {path.name for path in in_folder.iterdir()}
    assert command("run", "study.toml", "--workers", "0") == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert {path.name for path in in_folder.iterdir()} - {"__pycache__"} == before


# -- commands -------------------------------------------------------------------------------------------------------

PROGRAM = """
import json, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if "--fail" in given:
    sys.exit("no such luck")
if "--out" in given:
    open(given["--out"], "w").write(json.dumps({"loss": float(given["--x"]), "given": len(given)}))
else:
    print("training …")
    print(ANSWER)
"""


def program(tmp_path: Path, answer: str = 'given["--x"]') -> str:
    path = tmp_path / "train.py"
    path.write_text(PROGRAM.replace("ANSWER", answer))
    return f"{sys.executable} {path}"


@pytest.mark.parametrize("answer", ['given["--x"]', 'json.dumps({"loss": float(given["--x"]), "given": len(given)})'])
def test_the_last_line_a_program_prints_is_the_result(answer: str, tmp_path: Path) -> None:
    text = program(tmp_path, answer) + " --x {x} --seed {seed}"
    problem = sb.Objective(command=text, space={"x": sb.Float(0, 1)})
    assert problem.name == "train"
    results = run(problem, tmp_path, seeds=1, evaluations=2)
    trials = results.trials(results.runs().run_id[0])
    assert [f"x={value}" for value in trials.value] == list(trials.architecture)


def test_a_program_may_write_its_result_to_a_file(tmp_path: Path) -> None:
    problem = sb.Objective(command=program(tmp_path) + " --x {x} --out {out}", space={"x": sb.Float(0, 1)})
    assert measure(problem)[0].metrics == {"given": 2.0}


def test_the_argument_of_an_inactive_hyper_parameter_is_left_out_with_its_option(tmp_path: Path) -> None:
    text = program(tmp_path, 'json.dumps({"loss": 0.5, "given": len(given)})') + " --x {opt} --momentum {momentum}"
    space = {"opt": sb.Choice(["a b", "adam"]), "momentum": sb.Float(0, 1, when=sb.When("opt", "a b"))}
    problem = sb.Objective(command=text, space=space)
    resolved, estimator = problem.resolve(), evaluations(problem)
    for values, count in (({"opt": "adam"}, 1), ({"opt": "a b", "momentum": 0.5}, 2)):
        measured, _ = estimator.evaluate(resolved.space.architecture(values), FULL, 1)
        assert measured.metrics == {"given": count}


def test_a_program_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    problem = sb.Objective(command=program(tmp_path) + " --x {x} --fail 1", space={"x": sb.Float(0, 1)})
    with pytest.raises(StudyError, match="ended with status 1: no such luck"):
        run(problem, tmp_path)
    absent = sb.Objective(command="./no-such-program {x}", space={"x": sb.Float(0, 1)})
    with pytest.raises(StudyError, match="no-such-program` cannot be started"):
        run(absent, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("./train {y}", "`{y}`, of no value"),
        ("./train", "no place for `x`"),
        ("./train '{x}", "cannot be split"),
        ("./train {x", "unfinished place"),
        ("./train {x.real}", "a place is written"),
        ("", "must be a text"),
    ],
)
def test_a_command_is_checked_where_it_is_declared(text: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        sb.Objective(command=text, space={"x": sb.Float(0, 1)}).resolve()


def test_the_fingerprint_of_a_command_follows_its_text_and_its_files(tmp_path: Path) -> None:
    text = program(tmp_path) + " --x {x}"
    before = sb.Objective(command=text, space={"x": sb.Float(0, 1)}).resolve().fingerprint
    assert sb.Objective(command=text, space={"x": sb.Float(0, 1)}).resolve().fingerprint == before
    program(tmp_path, "0.5")
    assert sb.Objective(command=text, space={"x": sb.Float(0, 1)}).resolve().fingerprint != before


def test_a_program_gets_the_whole_configuration_as_a_file_where_it_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import json, sys\nprint(json.load(open(sys.argv[1]))['x'])\n")
    problem = sb.Objective(command=f"{sys.executable} {tmp_path}/train.py {{config}}", space={"x": sb.Float(2, 3)})
    assert 2 <= measure(problem)[0].value <= 3


def test_the_declaration_says_the_metric_and_no_task(tmp_path: Path) -> None:
    run(sb.Objective(loss, SPACE, metric="log loss", unit="nats", epochs=3), tmp_path)
    with open_store(tmp_path / "r.db") as store:
        (problem,) = store.study().declared["problems"]
    assert problem["task"] is None
    assert problem["metric"] == {"name": "log loss", "unit": "nats", "better": "lower", "share": False}
    assert json.dumps(problem["space"]).count("lr") == 1
