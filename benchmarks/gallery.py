"""Rebuild the gallery: run its studies, write their pages and figures, and what the docs show of them.

    python benchmarks/gallery.py [--workers N] [NAME …]

Studies stand in examples/gallery, their stores and whole pages go to gallery/, what the docs show to docs/gallery. A
study whose data is not under SEARCHBENCH_DATA is left out, and said to be; finished runs are not repeated.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from searchbench.reports.dossier import Dossier, read
from searchbench.reports.words import headline
from searchbench.results.store import open_store

ROOT = Path(__file__).resolve().parents[1]
STORES, SHOWN = Path("gallery"), Path("docs/gallery")
TERMINAL = {"COLUMNS": "110", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One study of the gallery."""

    name: str
    """Of its study file, its store and its page."""
    title: str
    about: str
    """What it shows, in a sentence or two, as Markdown."""
    figures: tuple[tuple[str, str], ...]
    """Figures of the report that the docs show, by the beginning of their names, each with its caption."""
    answers: tuple[str, ...] = ()
    """Further commands whose answers are shown; `--store` is added."""
    recorded: tuple[tuple[str, str], ...] = ()
    """Tables to bring into the package's form first: a file under SEARCHBENCH_DATA, and the data set of it."""


ENTRIES = (
    Entry(
        "blackbox",
        "The black-box family on the shipped table",
        "Fifteen strategies that train architectures one by one, 20 independent searches each, on the recorded "
        "trainings of every cell of the NAS-Bench-201 space on digits. What is established is little beside what the "
        "means suggest: that is what the ranks' intervals are for.",
        (("errors-", "Test error of what every search handed over; a dot is a search."),
         ("ranks-", "Ranks that the tests allow, for all strategies at once."),
         ("anytime-", "The best validation error known by then, mean over searches.")),
    ),
    Entry(
        "hpo",
        "Hyper-parameters on recorded tables",
        "Five strategies on 62,208 recorded settings of a small network, each trained four times, on two data sets "
        "(FCNet of HPO-Bench): searches see half of the repeats, the judge the other half.",
        (("errors-", "Test error of what every search handed over; a dot is a search."),
         ("anytime-", "The best validation error known by then, mean over searches.")),
        ("leaderboard --tasks --format md",),
        (("tables/hpolib_fcnet.npz", "protein_structure"), ("tables/hpolib_fcnet.npz", "parkinsons_telemonitoring")),
    ),
    Entry(
        "darts_prime",
        "DARTS-PRIME taken apart",
        "Two parts of DARTS-PRIME (Maile et al. 2021), the informed schedule and proximity, alone and together: a "
        "2 × 2 ablation by real training of small supernets. See [an ablation](../howto/ablation.md).",
        (("interaction-", "Means of the four arms: lines that are not parallel would be an interaction."),
         ("errors-", "Test error of what every search handed over; a dot is a search.")),
        ("ablation",),
    ),
    Entry(
        "supernet_ranking",
        "How inherited weights rank architectures",
        "Four ways to train a supernet; each scores the same 200 cells by inherited weights, and the shipped table "
        "says what they are worth: the last section, whose tau is that of all cells, not of the few handed over.",
        (("weights-", "Mean weight of every operation while DARTS trains its supernet, seed 0."),),
        ("ranking --table nasbench201-digits",),
    ),
    Entry(
        "hardware_aware",
        "Accuracy against latency",
        "A constraint, a reward and a differentiable term for the same latency table: fronts and hypervolumes, see "
        "[hardware](../hardware.md).",
        (("pareto-latency_ms-", "What every search handed over, and the front of all."),),
        ("pareto --metric latency_ms --format md",),
    ),
)  # fmt: skip


def missing(entry: Entry) -> str:
    """The data that an entry needs and that is not there; nothing where all is."""
    data = os.environ.get("SEARCHBENCH_DATA")
    absent = [file for file, _ in entry.recorded if not data or not (Path(data) / file).is_file()]
    return ", ".join(dict.fromkeys(absent))


def prepare(entry: Entry) -> list[list[str]]:
    """Commands that make the tables of an entry, those that are made already left out."""
    commands = []
    for file, data in entry.recorded:
        out = STORES / f"fcnet-{data}.parquet"
        source = Path(os.environ["SEARCHBENCH_DATA"]) / file
        if not out.exists():
            commands.append(["table", "import", str(source), "--format", "fcnet", "--data", data, "--out", str(out)])
    return commands


def searchbench(*arguments: str, shown: bool = True) -> str:
    """Run the command; what it printed, where it is not shown as it comes. Status 1 says that a run failed or that
    something is wanting, which the pages say too.

    Raises:
        SystemExit: it could not do what it was asked.
    """
    print("searchbench", shlex.join(arguments), flush=True)
    out = None if shown else subprocess.PIPE
    done = subprocess.run(
        [sys.executable, "-m", "searchbench", *arguments], cwd=ROOT, env=os.environ | TERMINAL, stdout=out, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode > 1:
        sys.exit(f"gallery: `searchbench {shlex.join(arguments)}` ended with {done.returncode}")
    return done.stdout or ""


def build(entry: Entry, workers: int | None) -> None:
    """Run a study, write its whole page, and write what the docs show of it."""
    store, folder = STORES / f"{entry.name}.db", STORES / entry.name
    crew = () if workers is None else ("--workers", str(workers))
    for command in prepare(entry):
        searchbench(*command)
    study, kept = f"examples/gallery/{entry.name}.toml", ("--store", str(store))
    searchbench("run", study, *kept, "--resume", "--brief", "--no-report", *crew)
    searchbench("report", *kept, "--out", str(folder), "--figure-width", "page")
    answers = [(said, searchbench(*shlex.split(said), *kept, shown=False)) for said in entry.answers]
    with open_store(ROOT / store) as opened:
        dossier = read(opened)
    page = ROOT / SHOWN / f"{entry.name}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(page_of(entry, dossier, ROOT / folder, answers), encoding="utf-8")


def page_of(entry: Entry, dossier: Dossier, folder: Path, answers: list[tuple[str, str]]) -> str:
    """What the docs show of a study: its command, what was found, its figures, and the study itself."""
    store = STORES / f"{entry.name}.db"
    made = [
        f"searchbench table import … --format fcnet --data {data} --out gallery/fcnet-{data}.parquet"
        for _, data in entry.recorded
    ]
    commands = [*made, f"searchbench run examples/gallery/{entry.name}.toml --store {store}"]
    parts = [f"# {entry.title}", entry.about, "```\n" + "\n".join(commands) + "\n```"]
    several = len(dossier.board.blocks) > 1
    for block in dossier.board.blocks:
        parts.append(f"> **{block.problem}.** {headline(block)}" if several else f"> {headline(block)}")
    parts += [(folder / "leaderboard.md").read_text(encoding="utf-8").strip(), made_with(dossier)]
    for beginning, caption in entry.figures:
        for figure in chosen(folder / "figures", beginning, dossier):
            target = f"{entry.name}-{figure.name}"
            (ROOT / SHOWN / target).write_bytes(figure.read_bytes())
            parts.append(f"![{caption}]({target})\n\n*{caption}*")
    for said, answer in answers:
        own = answer.strip("\n")
        parts += [f"## `searchbench {said.split()[0]}`", f"```\nsearchbench {said} --store {store}\n```"]
        parts.append(own.replace("\n### ", "\n#### ") if "--format md" in said else f"```text\n{own}\n```")
    study = (ROOT / "examples" / "gallery" / f"{entry.name}.toml").read_text(encoding="utf-8").strip()
    said = "\n\n".join(parts).replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    said = said.replace("\\<", "&lt;")  # an escape that GitHub knows and the site does not
    return f"{said}\n\n## The study\n\n```toml\n{study}\n```\n"


def chosen(figures: Path, beginning: str, dossier: Dossier) -> list[Path]:
    """The figures of a name, one for each problem; curves along the budget."""
    axis = next(iter(dossier.spec["budget"]))
    found = sorted(figures.glob(f"{beginning}*.svg"))
    return [own for own in found if own.stem.endswith(f"-{axis}")] if beginning == "anytime-" else found


def made_with(dossier: Dossier) -> str:
    """How many runs there are, and under which versions they were made."""
    versions = dossier.study.provenance.get("packages", {})
    under = ", ".join(f"{name} {versions[name]}" for name in ("searchbench", "torch", "numpy") if name in versions)
    return f"{len(dossier.runs)} runs; {under}."


def main() -> None:
    """Build every entry, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *(entry.name for entry in ENTRIES)])
    parser.add_argument("--workers", type=int, default=None)
    asked = parser.parse_args()
    (ROOT / STORES).mkdir(exist_ok=True)
    for entry in ENTRIES:
        if asked.names and entry.name not in asked.names:
            continue
        if absent := missing(entry):
            print(f"{entry.name}: left out, for {absent} is not there; SEARCHBENCH_DATA names the folder of such data.")
            continue
        build(entry, asked.workers)


if __name__ == "__main__":
    main()
