"""Finished results from elsewhere become a study; files are those that the libraries themselves wrote."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from click.testing import CliRunner

import searchbench as sb
from searchbench.cli.entry import cli
from searchbench.errors import InputError
from searchbench.harness.imported import import_files
from searchbench.results.imported.finished import Meaning
from searchbench.results.imported.presets import NAMED, split_name

WRITTEN = Path(__file__).parents[1] / "data" / "imported"


def long(n: int = 8, shift: float = 0.05) -> pd.DataFrame:
    """Two strategies on one task, the second better by `shift` on every seed."""
    rng = np.random.default_rng(0)
    rows = []
    for seed, base in enumerate(rng.uniform(0.2, 0.4, n)):
        rows += [("random", seed, base), ("mine", seed, base - shift + 0.001 * seed)]
    return pd.DataFrame(rows, columns=["strategy", "seed", "score"])


def test_long_frame_becomes_a_leaderboard_with_its_own_numbers() -> None:
    frame = long()
    board = sb.results_from(frame, baseline="random").leaderboard().set_index("strategy")
    means = frame.groupby("strategy")["score"].mean()
    for strategy, mean in means.items():
        assert board.loc[strategy, "score_mean"] == pytest.approx(mean, rel=1e-12)
        assert board.loc[strategy, "n"] == 8


def test_wide_form_and_arrays_say_what_long_form_says() -> None:
    frame = long()
    wide = frame.pivot_table(index="seed", columns="strategy", values="score").reset_index()
    arrays = {name: group.sort_values("seed")["score"].to_numpy() for name, group in frame.groupby("strategy")}
    boards = [sb.results_from(given).leaderboard() for given in (frame, wide)]
    boards.append(sb.results_from(arrays).leaderboard())
    means = [board.set_index("strategy")["score_mean"].to_dict() for board in boards]
    assert means[0] == means[1] == means[2]


def test_arrays_with_tasks_and_ragged_seeds_are_taken() -> None:
    given = {"a": np.arange(8.0).reshape(4, 2), "b": np.arange(6.0).reshape(3, 2)}
    runs = sb.results_from(given, tasks=["x", "y"]).runs()
    assert sorted(runs["problem"].unique()) == ["x", "y"]
    assert len(runs[runs["strategy"] == "b"]) == 6


def test_higher_is_better_ranks_the_higher_first() -> None:
    frame = long()
    frame["score"] = 1 - frame["score"]
    found = sb.results_from(frame, better="higher", baseline="random")
    board = found.leaderboard()
    assert board["strategy"].iloc[0] == "mine"
    assert board["score_mean"].iloc[0] == pytest.approx(frame[frame["strategy"] == "mine"]["score"].mean())


def test_rows_of_trials_are_ranked_by_their_best_and_failed_ones_kept() -> None:
    frame = pd.DataFrame(
        {
            "strategy": ["a"] * 4,
            "seed": [0] * 4,
            "number": [1, 0, 2, 3],
            "score": [0.2, 0.5, 0.1, 0.0],
            "state": ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"],
            "lr": [1, 2, 3, 4],
        }
    )
    found = sb.results_from(frame, trial="number", status="state", configuration=["lr"])
    (run_id,) = found.runs()["run_id"]
    assert found.runs()["test_error"].tolist() == [0.1]
    with sb.open_store(found.store) as store:
        trials = store.trials(run_id)
    assert trials["value"].tolist()[:3] == [0.5, 0.2, 0.1]
    assert trials["status"].tolist() == ["ok", "ok", "ok", "error"]


def faulty() -> list[tuple[str, pd.DataFrame, str]]:
    frame = long(3)
    return [
        ("misspelt", frame.rename(columns={"score": "scores"}), "no column `score`"),
        ("twice", pd.concat([frame, frame]), "already"),
        ("text", frame.assign(score="high"), "a number is needed"),
        ("seed", frame.assign(seed=0.5), "whole number"),
        ("nobody", frame.assign(strategy=""), "a name is needed"),
        ("empty", frame.iloc[:0], "no rows"),
        ("means", pd.DataFrame({"method": ["a"], "mean": [1.0], "std": [0.1], "n": [3]}), "mean ± std"),
    ]


@pytest.mark.parametrize(("frame", "said"), [f[1:] for f in faulty()], ids=[f[0] for f in faulty()])
def test_faulty_frames_are_refused_with_the_place(frame: pd.DataFrame, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sb.results_from(frame)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """An Optuna storage of two samplers and two seeds, one trial of each failed."""
    path = tmp_path / "optuna.db"
    samplers: dict[str, Any] = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -1, 1)
        if trial.number == 3:
            raise ValueError("no")
        return (x - trial.study.user_attrs["at"]) ** 2

    for (name, sampler), seed in itertools.product(samplers.items(), range(2)):
        study = optuna.create_study(
            study_name=f"{name}-seed{seed}", storage=f"sqlite:///{path}", sampler=sampler(seed=seed)
        )
        study.set_user_attr("at", 0.1 if name == "tpe" else 0.3)
        study.optimize(objective, n_trials=5, catch=ValueError)
    return path


def test_optuna_storage_is_a_run_per_study(storage: Path, tmp_path: Path) -> None:
    before = storage.read_bytes()
    found, runs = import_files([storage], store=tmp_path / "s.db", name="optuna", baseline="random")
    assert [(run.strategy, run.seed, len(run.trials)) for run in runs] == [
        (name, seed, 5) for name in ("random", "tpe") for seed in (0, 1)
    ]
    assert all(run.trials[3].failed for run in runs)
    for run in runs:
        study = optuna.load_study(study_name=f"{run.strategy}-seed{run.seed}", storage=f"sqlite:///{storage}")
        assert run.score == study.best_value
    assert len(found.leaderboard()) == 2
    assert storage.read_bytes() == before


def test_optuna_journal_and_frame_say_what_its_storage_says(storage: Path, tmp_path: Path) -> None:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    journal = tmp_path / "journal.log"
    url = f"sqlite:///{storage}"
    optuna.copy_study(
        from_study_name="tpe-seed1", from_storage=url, to_storage=JournalStorage(JournalFileBackend(str(journal)))
    )
    frame = tmp_path / "tpe-seed1.csv"
    optuna.load_study(study_name="tpe-seed1", storage=url).trials_dataframe().to_csv(frame, index=False)
    (kept,) = [
        r for r in import_files([storage], store=tmp_path / "a.db", name="a")[1] if (r.strategy, r.seed) == ("tpe", 1)
    ]
    for path in (journal, frame):
        (run,) = import_files([path], store=tmp_path / f"{path.stem}.db", name="b")[1]
        assert (run.strategy, run.seed, run.score) == ("tpe", 1, kept.score)
        assert [t.score for t in run.trials if not t.failed] == [t.score for t in kept.trials if not t.failed]


SOURCES = [
    ("tune", {}, [("random", 0, 3), ("random", 1, 3)]),
    ("syne-tune", {}, [("random", 0, 5), ("random", 1, 5)]),
    ("nevergrad.csv", {}, [(name, seed, 0) for name in ("OnePlusOne", "DE") for seed in range(3)]),
    ("mlflow.csv", {"score": "metrics.test_error"}, [(n, s, 0) for n in ("tpe", "random") for s in (2, 1, 0)]),
]


@pytest.mark.parametrize(("name", "given", "expected"), SOURCES, ids=[s[0] for s in SOURCES])
def test_files_of_other_libraries_are_recognised_and_ranked(
    name: str, given: dict[str, Any], expected: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    found, runs = import_files([WRITTEN / name], store=tmp_path / "s.db", name="theirs", **given)
    assert [(run.strategy, run.seed, len(run.trials)) for run in runs] == expected
    assert len(found.leaderboard()) == len({run.strategy for run in runs})


def test_last_report_of_a_tune_trial_counts(tmp_path: Path) -> None:
    (run, _) = import_files([WRITTEN / "tune"], store=tmp_path / "s.db", name="tune")[1]
    lines = [
        json.loads(file.read_text().splitlines()[-1])["loss"]
        for file in sorted((WRITTEN / "tune" / "random-seed0").glob("*/result.json"))
    ]
    assert sorted(trial.score for trial in run.trials) == sorted(lines)


def test_import_and_leaderboard_are_two_commands(tmp_path: Path) -> None:
    long().to_csv(tmp_path / "mine.csv", sep=";", index=False)
    store = str(tmp_path / "s.db")
    first = CliRunner().invoke(cli, ["results", "import", str(tmp_path / "mine.csv"), "--store", store, "--name", "m"])
    assert first.exit_code == 0, first.output
    assert "16 runs of 2 strategies" in first.output
    second = CliRunner().invoke(cli, ["leaderboard", "m", "--store", store, "--format", "md"])
    assert second.exit_code == 0
    assert "mine" in second.output


def test_study_once_imported_is_never_written_over(tmp_path: Path) -> None:
    long().to_csv(tmp_path / "mine.csv", index=False)
    given: dict[str, Any] = {"store": tmp_path / "s.db", "name": "m"}
    import_files([tmp_path / "mine.csv"], **given)
    with pytest.raises(InputError, match="already holds a study `m`"):
        import_files([tmp_path / "mine.csv"], **given)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tpe-seed3", ("tpe", 3)),
        ("tpe_3", ("tpe", 3)),
        ("re p=30 seed=4", ("re p=30", 4)),
        ("cma.es-run12", ("cma.es", 12)),
    ],
)
def test_names_of_studies_are_taken_apart(name: str, expected: tuple[str, int]) -> None:
    assert split_name(name, NAMED) == expected


def test_name_without_a_seed_is_refused_with_the_way_out() -> None:
    with pytest.raises(InputError, match="name studies like `tpe-seed3`"):
        split_name("final", NAMED)


def test_same_run_in_two_files_is_refused(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        long(2).to_csv(tmp_path / name, index=False)
    with pytest.raises(InputError, match="in two of the sources"):
        import_files([tmp_path / "a.csv", tmp_path / "b.csv"], store=tmp_path / "s.db", name="m")
    assert not (tmp_path / "s.db").exists()


def test_tracker_columns_can_be_named(tmp_path: Path) -> None:
    frame = long(3).rename(columns={"strategy": "Group", "seed": "config.seed", "score": "final"})
    frame.assign(State="finished").to_csv(tmp_path / "wandb.csv", index=False)
    runs = import_files([tmp_path / "wandb.csv"], store=tmp_path / "s.db", name="w", source="wandb", score="final")[1]
    assert {run.strategy for run in runs} == {"random", "mine"}
    frame.assign(State="crashed").to_csv(tmp_path / "crashed.csv", index=False)
    meaning = Meaning(score="final")
    crashed = import_files(
        [tmp_path / "crashed.csv"], store=tmp_path / "c.db", name="w", source="wandb", meaning=meaning
    )[1]
    assert all(run.failed and run.error == "ended as crashed" for run in crashed)


def test_rows_of_a_paper_stand_beside_and_are_never_ranked(tmp_path: Path) -> None:
    long().to_csv(tmp_path / "mine.csv", index=False)
    (tmp_path / "paper.csv").write_text("method,mean,std,n\nTheirs,0.1,0.02,5\n")
    store = tmp_path / "s.db"
    found, _ = import_files(
        [tmp_path / "mine.csv"], store=store, name="m", baseline="random", published=tmp_path / "paper.csv"
    )
    rows = found.leaderboard().set_index("strategy")
    assert rows.loc["Theirs", "source"] == "reported"
    assert not rows.loc["Theirs", "ranked"]
    assert rows.loc["mine", "source"] == "imported"
    assert rows.loc["mine", "ranked"]
    board = ["leaderboard", "m", "--store", str(store), "--format", "md", "--published", str(tmp_path / "paper.csv")]
    done = CliRunner().invoke(cli, board)
    assert "0.1 ± 0.02 (n=5)" in done.output


def test_checklist_says_of_imported_runs_what_cannot_be_known(tmp_path: Path) -> None:
    from searchbench.reports.dossier import read

    found = sb.results_from(long(12), baseline="random")
    with sb.open_store(found.store) as store:
        dossier = read(store)
    (checked,) = dossier.checklists.values()
    assert checked.ranking_allowed
    assert checked["C01"].evidence == "imported, not recorded here"
    assert checked["C05"].verdict == "PASS"
    assert checked["C17"].verdict == "PASS"
    assert any("imported" in caveat.kind for caveat in dossier.caveats)


def test_what_syne_tune_heard_of_a_trial_counts_unless_it_failed(tmp_path: Path) -> None:
    """The local backend of Syne Tune 0.16 writes that a trial which reports once is still in progress."""
    frame = pd.DataFrame(
        {
            "loss": [11.99, 3.78, 5.07, 0.5],
            "epoch": 1,
            "st_worker_time": [1.6e-05, 1.9e-05, 1.3e-05, 1.8e-05],
            "st_status": ["InProgress", "Stopped", "Paused", "Failed"],
            "trial_id": range(4),
            "config_x": [-1.82, 0.11, 1.28, 1.0],
        }
    )
    for seed in range(2):
        folder = tmp_path / f"rea-seed{seed}"
        folder.mkdir()
        frame.to_csv(folder / "results.csv.zip", index=False)
        (folder / "metadata.json").write_text(json.dumps({"metric_names": ["loss"], "metric_mode": "min"}))
    runs = import_files([tmp_path], store=tmp_path / "s.db", name="s", source="syne-tune")[1]
    assert [run.score for run in runs] == [3.78, 3.78]
    assert [trial.failed for trial in runs[0].trials] == [False, False, False, True]
