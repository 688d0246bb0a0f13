"""Results in Python: they show themselves, short, in the metric's own sense, and give everything when asked."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

import searchbench as sb
from searchbench.errors import InputError, UnknownName


def gain(config, *, seed, epochs):
    return 2.0 - (config["x"] - 0.5) ** 2 - 1 / epochs + (seed % 100) / 10_000


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> sb.Results:
    problem = sb.Objective(gain, {"x": sb.Float(0, 1)}, metric="gain", unit="dB", better="higher", epochs=9)
    study = sb.Study(
        "shown", problem, ["random", "hyperband"], seeds=6, budget=sb.Budget(epochs=60),
        comparison=sb.ComparisonPlan("random"),
    )  # fmt: skip
    return sb.run(study, tmp_path_factory.mktemp("shown") / "r.db", workers=0, progress=False)


def test_they_print_as_a_short_table_in_the_metrics_own_sense(results: sb.Results) -> None:
    heading, titles, *rows = str(results).splitlines()
    assert heading.startswith("shown · gain · budget epochs ≤ 60")
    assert titles.split() == ["rank", "strategy", "gain", "↑", "(dB)", "n", "verdict"]
    assert {row.split()[1] for row in rows[:2]} == {"random", "hyperband"}
    assert all("± " in row and " 1." in row for row in rows[:2])
    assert any("higher is better" in row for row in rows)


def test_a_notebook_gets_a_table_with_everything_escaped(tmp_path: Path) -> None:
    problem = sb.Objective(lambda config: config["x"], {"x": sb.Float(0, 1)}, label="<script>")
    study = sb.Study("s", problem, {"<b>": "random"}, seeds=1, budget=sb.Budget(evaluations=2))
    html = sb.run(study, tmp_path / "r.db", workers=0, progress=False)._repr_html_()
    assert html.count("<table") == 1
    assert "&lt;b&gt;" in html
    assert "<script>" not in html
    assert "<b><b>" not in html


def test_the_short_table_is_a_frame_and_the_long_one_has_every_column(results: sb.Results) -> None:
    assert list(results.table().columns) == ["rank", "strategy", "gain ↑ (dB)", "n", "verdict"]
    assert len(results.leaderboard().columns) > 30


def test_what_failed_or_is_missing_is_shown(tmp_path: Path) -> None:
    def sometimes(config, *, seed):
        if config["x"] < 0.9:
            raise ValueError("too small")
        return config["x"]

    problem = sb.Objective(sometimes, {"x": sb.Choice([0.1, 0.2, 0.3, 0.4, 0.95])})
    study = sb.Study("s", problem, ["random"], 6, sb.Budget(evaluations=1))
    shown = str(sb.run(study, tmp_path / "r.db", workers=0, progress=False))
    assert "failed" in shown.splitlines()[1]
    assert "none succeeded" in shown


def test_two_strategies_are_compared_in_words(results: sb.Results) -> None:
    found = results.compare("random", "hyperband")
    assert "On gain, random reached a gain of" in str(found)
    assert "<pre>" in found._repr_html_()
    assert len(found.to_frame()) == 6
    with pytest.raises(InputError, match="has no strategy `randm`; did you mean `random`"):
        results.compare("randm", "hyperband")


def test_curves_and_trials_are_frames_of_all_runs_in_the_metrics_own_sense(results: sb.Results) -> None:
    curves, trials, runs = results.curves(), results.trials(), results.runs()
    assert list(curves.columns) == ["problem", "strategy", "replicate", "epochs", "value"]
    assert set(curves.strategy) == {"random", "hyperband"}
    assert runs.test_error.between(1, 2).all()
    last = curves.groupby(["strategy", "replicate"]).value.last()
    assert (runs.set_index(["strategy", "replicate"]).value.sort_index() == last.sort_index()).all()
    assert trials.groupby("run_id").number.count().to_dict() == {run: len(results.trials(run)) for run in runs.run_id}
    assert trials.value.max() <= 2.01
    assert "evaluations" in results.curves("evaluations")
    with pytest.raises(InputError, match="unknown cost axis"):
        results.curves("epohs")


def test_a_figure_is_drawn_by_its_name(results: sb.Results, tmp_path: Path) -> None:
    drawn = results.figure("anytime")
    assert drawn.svg().startswith("<svg")
    assert "<svg" in drawn._repr_html_()
    assert drawn.save(tmp_path / "a.svg").read_text() == drawn.svg()
    with pytest.raises(InputError, match="did you mean `anytime`"):
        results.figure("anytme")


def test_the_report_is_written_where_it_is_asked_for(results: sb.Results, tmp_path: Path) -> None:
    page = results.report(tmp_path / "report")
    assert page == tmp_path / "report" / "index.html"
    assert page.exists()


def test_progress_is_shown_unless_silence_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = sb.Study("s", sb.Objective(gain, {"x": sb.Float(0, 1)}, epochs=2), ["random"], 2, sb.Budget(epochs=4))
    sb.run(study, tmp_path / "a.db", workers=0)
    told = capsys.readouterr()
    assert "[2/2]" in told.err
    assert told.out == ""
    sb.run(study, tmp_path / "b.db", workers=0, progress=False)
    assert capsys.readouterr().err == ""


def test_a_notebook_shows_progress_in_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    from searchbench.harness.driving import progress

    class Handle:
        told: ClassVar[list[str]] = []

        def update(self, data: dict[str, str], raw: bool) -> None:
            self.told.append(data["text/plain"])

    module = ModuleType("IPython.display")
    module.display = lambda *_, **__: Handle()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(progress.Console, "is_jupyter", True, raising=False)
    monkeypatch.setattr(progress.Console, "__init__", lambda self, **_: None)
    with progress.shown_here() as shown:
        study = sb.Study("s", sb.Objective(gain, {"x": sb.Float(0, 1)}, epochs=2), ["random"], 2, sb.Budget(epochs=4))
        monkeypatch.undo()
        sb.run(study, tmp_path / "a.db", workers=0, observer=shown)
    assert "2/2 runs" in Handle.told[-1]


def test_results_whose_store_has_gone_still_print(results: sb.Results) -> None:
    assert "there is no store" in repr(sb.Results("s", "/no/such/store.db"))


def test_an_unknown_format_names_what_there_is(results: sb.Results) -> None:
    from searchbench.reports.render import render

    with pytest.raises(UnknownName):
        render(results._board(), "xml")
