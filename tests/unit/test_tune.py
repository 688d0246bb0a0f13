"""Strategies' settings are tuned at equal cost on seeds of their own, and what that was is declared."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import searchbench as sb
from searchbench.cli.entry import cli
from searchbench.errors import InputError, StudyError
from searchbench.harness.declared.study_file import read_study
from searchbench.harness.tune import Tuned, trials_of
from searchbench.results.store import open_store
from searchbench.strategies.evolution import RegularizedEvolution


def loss(config: dict[str, Any], *, seed: int) -> float:
    return float((config["x"] - 0.7) ** 2)


def loss_of_epochs(config: dict[str, Any], *, seed: int, epochs: int) -> float:
    return loss(config, seed=seed) + 1 / epochs


def broken(config: dict[str, Any], *, seed: int) -> float:
    if config["x"] > 0.001:
        raise ValueError("no such x")
    return 0.0


PROBLEM = sb.Objective(loss, {"x": sb.Float(0, 1)}, label="loss")
RANGES = {"RE": {"population": sb.Integer(3, 12), "sample": sb.Integer(2, 8)}, "other": {"population": [4, 5, 6, 7, 8]}}


def study(**given: Any) -> sb.Study:
    strategies = {"random": "random", "RE": "regularized-evolution", "other": RegularizedEvolution(20, 5)}
    values = {"problems": PROBLEM, "strategies": strategies, "seeds": 3, "budget": sb.Budget(evaluations=30)}
    return sb.Study("s", **{**values, **given})


def tuned(store: Path, **given: Any) -> Tuned:
    plan = sb.TuningPlan(**{"strategies": RANGES, "configurations": 4, "seeds": 2, **given})
    return sb.tune(study(), plan, store, workers=0, progress=False)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tuned(tmp_path_factory.mktemp("tuned") / "r.db")


def test_every_strategy_is_given_the_same_and_the_record_says_what_it_spent(found: Tuned) -> None:
    declared = dict(found.study.tuning)
    assert {label: own.cost["evaluations"] for label, own in declared.items()} == {"RE": 240, "other": 240}
    assert [one.tried for one in found.chosen] == [4, 4]
    with open_store(found.results.store) as store:
        runs = store.runs("s tuning")
        assert [study.name for study in store.studies()] == ["s tuning"]  # nothing of the comparison has run
    assert len(runs) == 2 * 4 * 2
    assert {run.replicate for run in runs} == {3, 4}  # seeds that the study has not
    spent = sum(run.cost.evaluations for run in runs if run.strategy.startswith("RE ("))
    assert spent == declared["RE"].cost["evaluations"]
    assert declared["RE"] == sb.Tuning(
        ("population", "sample"), ("loss",), (3, 4), {"evaluations": 240}, "", "s tuning"
    )


def test_the_best_mean_is_chosen_and_the_study_keeps_everything_else(found: Tuned) -> None:
    frame = found.results.runs()
    for one in found.chosen:
        means = frame[frame["strategy"].str.startswith(f"{one.strategy} (")].groupby("strategy")["value"].mean()
        assert one.score == pytest.approx(means.min())
        assert one.declared == pytest.approx(means[f"{one.strategy} (as declared)"])
    made = {contestant.label: contestant.make() for contestant in found.study.strategies}
    assert list(made) == ["random", "RE", "other"]
    for name, value in found.chosen[0].settings.items():
        assert getattr(made["RE"], name) == value
    assert (found.study.seeds, found.study.budget, found.study.name) == ((0, 1, 2), study().budget, "s")
    assert "240 evaluations" in repr(found)


def test_a_tuning_comes_out_the_same_again_and_goes_on_where_it_stopped(tmp_path: Path, found: Tuned) -> None:
    first, again = found, tuned(tmp_path / "a.db")
    assert first.study == again.study
    assert first.study.spec() == again.study.spec()
    plan = sb.TuningPlan(RANGES, configurations=4, seeds=2)
    assert sb.tune(study(), plan, tmp_path / "a.db", workers=0, resume=True, progress=False).study == first.study


def test_settings_that_a_strategy_refuses_are_not_tried() -> None:
    _, candidates = trials_of(study(), sb.TuningPlan({"RE": RANGES["RE"]}, configurations=12, seeds=1))
    drawn = [dict(candidate.settings) for candidate in candidates[1:]]
    assert len(drawn) == 11
    assert all(settings["sample"] <= settings["population"] for settings in drawn)
    assert len({str(settings) for settings in drawn}) == 11
    assert candidates[0].label == "RE (as declared)"


def test_a_setting_of_a_part_within_is_named_by_its_path() -> None:
    nested = study(
        strategies={"A": sb.Use("scheduled", scheduler=sb.Use("asha"), searcher="gp")},
        problems=sb.Objective(loss_of_epochs, {"x": sb.Float(0, 1)}, label="loss", epochs=9),
        budget=sb.Budget(epochs=30),
    )
    plan = sb.TuningPlan({"A": {"scheduler.eta": sb.Integer(2, 5)}}, configurations=3, seeds=1)
    _, candidates = trials_of(nested, plan)
    for candidate in candidates[1:]:
        parts = dict(candidate.strategy.parameters)
        assert (parts["scheduler"], parts["searcher"]) == (
            sb.Use("asha", eta=candidate.settings["scheduler.eta"]),
            "gp",
        )


def test_more_is_better_is_chosen_and_shown_so(tmp_path: Path) -> None:
    gain = sb.Objective(lambda config: -loss(config, seed=0), {"x": sb.Float(0, 1)}, metric="gain", better="higher")
    plan = sb.TuningPlan({"RE": RANGES["RE"]}, configurations=3, seeds=2)
    found = sb.tune(study(problems=gain), plan, tmp_path / "r.db", workers=0, progress=False).chosen[0]
    assert 0 >= found.score >= found.declared


def test_several_problems_are_judged_by_ranks_of_no_scale(tmp_path: Path) -> None:
    far = sb.Objective(lambda config: 1e6 * loss(config, seed=0), {"x": sb.Float(0, 1)}, label="far")
    plan = sb.TuningPlan({"RE": RANGES["RE"]}, configurations=3, seeds=2, problems=[PROBLEM, far], by="validation")
    found = sb.tune(study(), plan, tmp_path / "r.db", workers=0, progress=False)
    assert "mean rank" in found.score
    assert 1 <= found.chosen[0].score <= 2
    assert dict(found.study.tuning)["RE"].tasks == ("loss", "far")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"strategies": {}}, "must give the settings"),
        ({"strategies": {"othr": {"population": [3]}}}, "did you mean `other`"),
        ({"strategies": {"RE": {"popluation": [3, 4]}}}, "no parameter `popluation`"),
        ({"strategies": {"other": {"popluation": [3, 4]}}}, "no parameter `popluation`"),
        ({"strategies": {"RE": {"population": {"it": [3, 4]}}}}, "unknown key `it`"),
        ({"strategies": {"RE": {"population": [30, 40]}}}, "hold 3 different settings"),
        ({"strategies": {"RE": {"searcher.population": [30, 40]}}}, "needs its part `searcher`"),
        ({"strategies": {"random": {"x": [1, 2]}}}, "no parameter `x`"),
        ({"configurations": 1}, "from 2 on"),
        ({"seeds": 0}, "from 1 on"),
        ({"seeds": [7, 7]}, "stands 2 times"),
        ({"seeds": [2, 3]}, "seeds that the study compares with (2)"),
        ({"by": "luck"}, '"validation" or "judge"'),
        ({"by": "judge"}, "may decide no setting"),
        ({"budget": 3}, "must be a Budget"),
    ],
)
def test_an_impossible_tuning_is_refused_before_anything_runs(tmp_path: Path, given: Any, said: str) -> None:
    with pytest.raises(InputError) as refused:
        tuned(tmp_path / "r.db", **given)
    assert said in str(refused.value), refused.value
    assert not (tmp_path / "r.db").exists()


def test_the_seeds_of_a_tuning_are_refused_in_the_comparison(tmp_path: Path, found: Tuned) -> None:
    own = dict(found.study.tuning)
    with pytest.raises(StudyError, match=r"tuned on `loss` with seeds that the study compares with \(3\)"):
        sb.run(study(seeds=[0, 3], tuning=own), tmp_path / "r.db", workers=0, progress=False)
    assert not (tmp_path / "r.db").exists()
    elsewhere = study(seeds=[3], tuning=own, problems=sb.Objective(loss, {"x": sb.Float(0, 1)}, label="new"))
    assert len(sb.run(elsewhere, tmp_path / "r.db", workers=0, progress=False).runs()) == 3


def test_settings_whose_runs_fail_are_not_chosen(tmp_path: Path) -> None:
    failing = study(problems=sb.Objective(broken, {"x": sb.Float(0, 1)}), strategies=["regularized-evolution"])
    plan = sb.TuningPlan({"regularized-evolution": RANGES["RE"]}, configurations=2, seeds=1)
    with pytest.raises(InputError, match="raises ValueError"):
        sb.tune(failing, plan, tmp_path / "r.db", workers=0, progress=False)


FILE = """
name = "s"
seeds = 3
budget = { evaluations = 20 }
problems = [{ objective = "HERE/tuned_here.py:loss", space = { x = { float = [0.0, 1.0] } } }]

[[strategies]]
use = "random"

[[strategies]]
use = "regularized-evolution"
label = "RE \\"1\\""
sample = 3

[comparison]
baseline = "random"

[tune]
configurations = 3
seeds = 2

[tune.strategies."RE \\"1\\""]
population = { int = [5, 15] }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "tuned_here.py").write_text("def loss(config, *, seed):\n    return config['x'] ** 2\n")
    place = tmp_path / "s.toml"
    place.write_text(FILE.replace("HERE", str(tmp_path)))
    return place


def command(*arguments: object) -> tuple[int, str]:
    found = CliRunner().invoke(cli, [str(a) for a in arguments])
    error = found.exception
    return (
        (2, str(getattr(error, "command", error))) if isinstance(error, InputError) else (found.exit_code, found.output)
    )


def test_the_command_writes_a_study_that_runs(tmp_path: Path, file: Path) -> None:
    store = tmp_path / "r.db"
    code, said = command("run", file, "--store", store)
    assert (code, "searchbench tune" in said, store.exists()) == (2, True, False)
    with pytest.raises(StudyError, match="read_tuning"):
        read_study(file)

    code, said = command("tune", file, "--store", store, "--workers", 0)
    assert code == 0, said
    written = tmp_path / "s.tuned.toml"
    before, after = tomllib.loads(FILE), tomllib.loads(written.read_text())
    entry = after["tuning"]['RE "1"']
    assert (entry["seeds"], entry["tasks"], entry["cost"]["evaluations"]) == ([3, 4], ["loss"], 120)
    assert after["comparison"] == before["comparison"]
    assert after["strategies"][1]["sample"] == 3
    assert dict(read_study(str(written)).tuning)['RE "1"'].study == "s tuning"

    code, said = command("tune", file, "--store", store, "--workers", 0, "--resume")
    assert (code, "exists, and is not written over" in said) == (2, True)
    code, said = command("run", written, "--store", store, "--workers", 0, "--no-report")
    assert code == 0, said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[tune]\nconfigurations", "[tune]\nconfigurationz", "did you mean `configurations`"),
        ("[tune]\nconfigurations = 3\nseeds = 2", "[tune]\nproblems = 3", "must be a list of tables"),
        ("[tune]\nconfigurations = 3", "[tune]\nbudget = 3", "must be a table"),
        ("int = [5, 15]", "int = [15, 5]", "population"),
        ("seeds = 2", "seeds = 1.5", "must be a number of replicates"),
    ],
)
def test_a_wrong_table_is_one_message_and_nothing_is_written(
    tmp_path: Path, file: Path, old: str, new: str, said: str
) -> None:
    assert old in FILE
    file.write_text(file.read_text().replace(old, new))
    code, told = command("tune", file, "--store", tmp_path / "r.db", "--workers", 0)
    assert (code, said in told) == (2, True), told
    assert {path.name for path in tmp_path.iterdir()} <= {"s.toml", "tuned_here.py", "__pycache__"}


def test_the_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "howto" / "tuning.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "page"}
    exec(page.partition("```python\n")[2].partition("```")[0], names)
    assert names["tuned"].chosen[0].tried == 4
