"""The results of a study in Python: they show themselves, short, and give everything when asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchbench.errors import InputError, did_you_mean
from searchbench.results.store import ResultStore, open_store
from searchbench.whole_file import whole

if TYPE_CHECKING:
    import pandas as pd

    from searchbench.reports.comparison import PairedComparison
    from searchbench.reports.dossier import Dossier
    from searchbench.reports.figures.figure import Picture


@dataclass(frozen=True, slots=True, repr=False)
class Results:
    """The results of a study, in a store. Printed, or at the end of a notebook's cell, they are a short table."""

    study: str
    store: str

    def leaderboard(self) -> pd.DataFrame:
        """A row per strategy and problem, best first, with every column that the command gives, caveats among them;
        `table` is the short one."""
        frame: pd.DataFrame = self._board().to_frame()
        return frame

    def table(self) -> pd.DataFrame:
        """The short leaderboard: rank, strategy, mean ± std, n and verdict, as texts; the problem where there are
        several."""
        import pandas as pd

        from searchbench.reports.brief import brief

        board = self._board()
        problems = [block.problem for block in board.blocks]
        several = len(problems) > 1
        rows = [
            ({"problem": problem} if several else {}) | record
            for problem, one in zip(problems, brief(board), strict=True)
            for record in one.records()
        ]
        return pd.DataFrame(rows).fillna("")

    @property
    def headline(self) -> str:
        """What was found in one sentence, its caveats first; a line per problem where there are several."""
        from searchbench.reports.words import headlines

        found = headlines(self._board())
        return "\n".join(f"{problem}: {said}" if len(found) > 1 else said for problem, said in found)

    def compare(self, left: str, right: str) -> Comparisons:
        """Two strategies, paired by seed, on each problem: every test that applies, in words.

        Raises:
            UnknownName, InputError: no strategy is labelled so, or both are the same.
        """
        from searchbench.reports.comparison import compare

        with open_store(self.store) as store:
            return Comparisons(tuple(compare(store, left, right, study=self.study)))

    def runs(self) -> pd.DataFrame:
        """A row per run. `value` and `test_error` are in the metric's own sense: of a gain, more is better."""
        with open_store(self.store) as store:
            frame, signs = store.frame(self.study), self._signs(store)
        sign = frame["problem"].map(signs).fillna(1.0)
        return frame.assign(value=frame["value"] * sign, test_error=frame["test_error"] * sign)

    def trials(self, run_id: str | None = None) -> pd.DataFrame:
        """The trials of one run, or of all, a row each: run_id, problem, strategy, replicate and the record's columns.

        `value` is in the metric's own sense.
        """
        import pandas as pd

        from searchbench.results.columns import read_trials

        with open_store(self.store) as store:
            runs = store.runs(self.study) if run_id is None else [store.run(run_id)]
            signs = self._signs(store)
        frames = []
        for run in runs:
            frame = read_trials(run.trials).to_pandas()
            frame["value"] *= signs.get(run.problem, 1.0)
            for at, name in enumerate(("run_id", "problem", "strategy", "replicate")):
                frame.insert(at, name, getattr(run, name))
            frames.append(frame)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def trace(self, run_id: str) -> pd.DataFrame:
        """What one run's search logged about itself, a row a line: an epoch, usually; see `ResultStore.trace`."""
        with open_store(self.store) as store:
            return store.trace(run_id)

    def curves(self, axis: str | None = None) -> pd.DataFrame:
        """The incumbent's validation value of every run, a row for each event.

        Args:
            axis: what was spent: "evaluations", "epochs", "seconds" …; None takes the first axis of the budget.

        Returns:
            Columns problem, strategy, replicate, the axis, and value, in the metric's own sense.

        Raises:
            InputError: there is no such axis.
        """
        import pandas as pd

        from searchbench.results.curves import CURVE_AXES, incumbent_curves

        with open_store(self.store) as store:
            runs = store.runs(self.study)
            budget = store.study(self.study).declared.get("budget") or {}
            signs = self._signs(store)
        axis = axis or next((a for a in budget if a in CURVE_AXES), "evaluations")
        found = incumbent_curves([run.trials for run in runs], axis)
        of = [runs[at] for at in found.run.tolist()]
        frame = pd.DataFrame({name: [getattr(r, name) for r in of] for name in ("problem", "strategy", "replicate")})
        value = found.value * frame["problem"].map(signs).fillna(1.0).to_numpy()
        return frame.assign(**{axis: found.spent, "value": value})

    def figure(self, name: str = "anytime", problem: str | None = None) -> Drawing:
        """A figure of the report, drawn.

        Args:
            name: of a section ("results", "anytime", "pairs", "costs" …), whose first figure it is, or of a figure.
            problem: label of the problem; None takes the first that has such a figure.

        Raises:
            InputError: there is no such figure; names those there are.
        """
        from searchbench.reports.page import figures_of

        dossier = self._dossier(axes=True)
        known: dict[str, Picture] = {}
        for label, sections in figures_of(dossier).items():
            for section, figures in sections.items() if problem in (None, label) else ():
                for figure in figures:
                    known.setdefault(section, figure)
                    known[figure.name] = figure
        if name not in known:
            raise InputError(f"there is no figure `{name}`; {did_you_mean(name, known)}")
        return Drawing(known[name])

    def report(self, folder: str | Path | None = None) -> Path:
        """Write the report, one page that works offline and every table and figure as a file; where the page is.

        Args:
            folder: where; None takes one beside the store.
        """
        from searchbench.reports.report import default_folder, report

        with open_store(self.store) as store:
            return report(store, self.study, folder or default_folder(store, self.study)).page

    def __repr__(self) -> str:
        from searchbench.reports.brief import brief, to_text

        try:
            return f"{to_text(brief(self._board()))}\n  in {self.store}; every column: .leaderboard()"
        except InputError as error:  # a store that was moved away
            return f"Results({self.study!r}, {self.store!r}): {error}"

    def _repr_html_(self) -> str:
        from searchbench.reports.brief import brief, to_html

        return to_html(brief(self._board()))

    def _signs(self, store: ResultStore) -> dict[str, float]:
        """What turns what was minimised into the number itself, by problem."""
        from searchbench.reports.measured import declared_metric

        spec = store.study(self.study).declared
        metrics = {p["label"]: declared_metric(spec, p["label"]) for p in spec.get("problems", ())}
        return {label: -1.0 if m is not None and m.better == "higher" else 1.0 for label, m in metrics.items()}

    def _board(self) -> Any:
        return self._dossier().board

    def _dossier(self, *, axes: bool = False) -> Dossier:
        from searchbench.reports.dossier import AXES, read

        with open_store(self.store) as store:
            return read(store, self.study, axes=AXES if axes else ())


@dataclass(frozen=True, slots=True, repr=False)
class Comparisons(Sequence["PairedComparison"]):
    """Two strategies compared on each problem; printed, they say what is established."""

    comparisons: tuple[PairedComparison, ...]

    def __len__(self) -> int:
        return len(self.comparisons)

    def __getitem__(self, at: Any) -> Any:
        return self.comparisons[at]

    def __iter__(self) -> Iterator[PairedComparison]:
        return iter(self.comparisons)

    def to_frame(self) -> pd.DataFrame:
        """A row per pair of runs."""
        import pandas as pd

        return pd.concat([comparison.to_frame() for comparison in self.comparisons], ignore_index=True)

    def __repr__(self) -> str:
        from searchbench.reports.render.pairs import to_text

        return "\n".join(to_text(comparison) for comparison in self.comparisons)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


@dataclass(frozen=True, slots=True, repr=False)
class Drawing:
    """A figure; a notebook draws it."""

    picture: Picture

    @property
    def caption(self) -> str:
        """What it shows, and what it does not."""
        return self.picture.caption

    def svg(self) -> str:
        """The figure as SVG."""
        from searchbench.reports.figures.svg import to_svg

        return to_svg(self.picture)

    def save(self, path: str | Path) -> Path:
        """Write it as SVG. Raises InputError where it cannot be written."""
        with whole(path) as place:
            place.write_text(self.svg(), encoding="utf-8")
        return Path(path)

    def __repr__(self) -> str:
        return f"{self.picture.title}: {self.caption} (`.save(path)` writes it as SVG)"

    def _repr_html_(self) -> str:
        return f"<figure>{self.svg()}<figcaption><small>{escape(self.caption)}</small></figcaption></figure>"
