"""The methods paragraph of a paper: protocol, budget, seeds, tests, settings and versions as they were declared and
recorded, with keys for BibTeX and the entries behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from searchbench.reports.dossier import Dossier
from searchbench.reports.leaderboard import Block
from searchbench.reports.render import latex, markdown
from searchbench.reports.render.numbers import budget

LIBRARY = Path(__file__).with_name("references.bib")
Form = Literal["tex", "md"]
PACKAGES = ("torch", "ray", "numpy", "scipy", "optuna", "scikit-learn")
"""Whose versions a paper states, where they were recorded."""
OF_PARTS = {
    "nasbench201": "dong2020nasbench201", "nasbench101": "ying2019nasbench101", "darts": "liu2019darts",
    "enas": "pham2018efficient", "nasnet": "zoph2018learning", "cifar10": "krizhevsky2009learning",
    "cifar100": "krizhevsky2009learning", "wikitext2": "merity2017pointer",
}  # fmt: skip
"""Sources of spaces and tasks, by the names under which a study uses them."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry of the library of sources."""

    key: str
    text: str
    surname: str
    """Of the first author."""
    year: str
    title: str
    shorthand: str


@dataclass(frozen=True, slots=True)
class Methods:
    """What a paper says of how a study was made."""

    sentences: tuple[str, ...]
    """Plain text; works are cited as [@key]."""
    references: tuple[Reference, ...]
    """What is cited, in the order of first mention."""
    unsourced: tuple[str, ...]
    """Strategies for which no source is known here: to be cited by hand."""

    def paragraph(self, form: Form) -> str:
        """LaTeX with `\\\\cite`, or Markdown as pandoc reads it."""
        return " ".join(_set(sentence, form) for sentence in self.sentences) + "\n"

    @property
    def bib(self) -> str:
        """The entries cited, for BibTeX."""
        return "\n\n".join(reference.text for reference in self.references) + "\n" if self.references else ""


def methods(dossier: Dossier, sources: Mapping[str, str]) -> Methods:
    """The paragraph of a study.

    Args:
        sources: by label, what a strategy's documentation names as its source; labels without one are told.
    """
    spec = dossier.spec
    blocks = [block for block in dossier.board.blocks if block.ranked or block.withheld]
    ran = {entry["strategy"] for entry in spec.get("planned", ())}
    labels = [entry["label"] for entry in spec.get("strategies", ()) if not ran or entry["label"] in ran]
    cited = {label: cited_in(sources.get(label, "")) for label in labels}
    named = [f"{label}{_cites(cited[label])}" for label in labels]
    said = [
        f"We compare {len(labels)} search strateg{'y' if len(labels) == 1 else 'ies'} ({_listed(named)}) on "
        f"{_problems(spec)}."
    ]
    said += _protocol(dossier, blocks)
    said += [
        f"{entry['strategy']} was left out on {entry['problem']}, where it cannot run: {entry['reason'].rstrip('.')}."
        for entry in spec.get("skipped", ())
    ]
    for block in blocks:
        said += _statistics(block, several=len(blocks) > 1)
    said += _settings(spec, labels)
    said += _failures(blocks)
    said += [f"{caveat}." for caveat in dossier.caveats]
    said += _software(dossier.study.provenance)
    sentences = tuple(dict.fromkeys(sentence[:1].upper() + sentence[1:] for sentence in said))
    keys = dict.fromkeys(re.findall(r"@([\w-]+)", " ".join(re.findall(r"\[@[^\]]*\]", " ".join(sentences)))))
    known = library()
    return Methods(sentences, tuple(known[key] for key in keys), tuple(name for name in labels if not cited[name]))


@cache
def library() -> dict[str, Reference]:
    """The sources that are known here, by key."""
    found = {}
    for entry in re.split(r"\n(?=@)", LIBRARY.read_text(encoding="utf-8"))[1:]:
        key = entry[entry.index("{") + 1 : entry.index(",")]
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},?$", entry, re.M))
        kept = re.sub(r"\n  shorthand = .*", "", entry).rstrip()
        surname = fields["author"].partition(",")[0]
        found[key] = Reference(key, kept, surname, fields["year"], fields["title"], fields.get("shorthand", ""))
    return found


def cited_in(source: str) -> tuple[str, ...]:
    """Keys of the works that a documented source names by first author and year.

    Where a first author has several works of a year, the one whose name or title stands there too; none where that
    does not tell.
    """
    text = " ".join(source.partition("Differs:")[0].split()).replace("et al.", "et al")
    found = []
    for clause in re.split(r"[;:]|\. ", text):
        for year in re.findall(r"\b(?:19|20)\d\d\b", clause):
            own = [
                r for r in library().values() if r.year == year and re.search(rf"\b{re.escape(r.surname)}\b", clause)
            ]
            told = [r for r in own if _names(text, r)]
            chosen = told or (own if len(own) == 1 else [])
            found += [reference.key for reference in chosen]
    return tuple(dict.fromkeys(found))


def _names(text: str, reference: Reference) -> bool:
    plain = re.sub(r"[^a-z0-9]", "", reference.title.lower())[:22]
    said = re.sub(r"[^a-z0-9]", "", text.lower())
    short = reference.shorthand and re.search(rf"(?<![\w-]){re.escape(reference.shorthand)}(?![\w+-])", text)
    return bool(short) or plain in said


def _problems(spec: Mapping[str, Any]) -> str:
    given = spec.get("given", {}).get("problems", [])
    shown = []
    for at, problem in enumerate(spec["problems"]):
        own = given[at] if at < len(given) else {}
        used = [part.get("use") for part in (own.get("space"), own.get("task")) if isinstance(part, Mapping)]
        keys = tuple(dict.fromkeys(OF_PARTS[name] for name in used if name in OF_PARTS))
        shown.append(f"{problem['label']}{_cites(keys)}{_estimated(problem)}")
    return _listed(shown)


def _estimated(problem: Mapping[str, Any]) -> str:
    estimator = problem.get("estimator")
    name = str(estimator.get("class", "")).rpartition(":")[2] if isinstance(estimator, Mapping) else ""
    return " (evaluations and final results looked up in a table of recorded trainings)" if name == "Table" else ""


def _protocol(dossier: Dossier, blocks: Sequence[Block]) -> list[str]:
    spec = dossier.spec
    seeds = list(spec.get("seeds", ()))
    shown = f"{seeds[0]} to {seeds[-1]}" if seeds == list(range(seeds[0], seeds[0] + len(seeds))) else str(seeds)[1:-1]
    limits = next((budget(block.budget) for block in blocks), "none")
    metric = blocks[0].verdicts.metric.name if blocks else "the metric"
    said = [
        f"Every strategy ran {len(seeds)} independent searches on each problem, one for each of the declared seeds "
        f"({shown}), under the same budget ({limits}).",
        f"Each search hands over one architecture, chosen on validation data only, which is judged once, by the same "
        f"procedure for all strategies; we report mean and standard deviation (ddof 1) of the {metric} over searches.",
        "Searches of one seed share split, first designs and evaluation noise, and are compared in pairs.",
    ]
    if spec.get("duplicates") == "charge":
        said.append("Evaluations of an architecture seen before are charged like any other.")
    elif spec.get("duplicates") == "cache":
        said.append("An evaluation of an architecture seen before is answered from memory and not charged.")
    return said


def _statistics(block: Block, *, several: bool) -> list[str]:
    verdicts, declared = block.verdicts, block.verdicts.declared
    on = f"On {block.problem}: " if several else ""
    if block.withheld:
        return [f"{on}no ranking is given, because {block.withheld}."]
    if verdicts.family is None:
        return [f"{on}no test was made."]
    answers = [a for a in verdicts.family.answers if a.status != "refused"]
    methods = dict.fromkeys(answer.method for answer in answers)
    when = "declared before the first run" if declared.beforehand else "not declared beforehand"
    said = [
        f"{on}the comparison was {when}: estimand, the {declared.estimand} of the paired differences; two-sided "
        f"alpha {declared.level:.3g}; " + (f"baseline, {declared.baseline}" if declared.baseline else "no baseline")
        + (f"; differences up to {declared.rope:g} count as practically none." if declared.rope else ".")
    ]  # fmt: skip
    if not methods:
        return [*said, f"{on}no test could have answered at this number of seeds, so none is reported."]
    beyond = verdicts.versus is not None and len(verdicts.family.answers) > len(verdicts.versus.answers)
    handed = ", the error left over being handed on to the pairs of the others [@bretz2009graphical]" if beyond else ""
    said.append(
        f"{on}tests: {_listed(list(methods))}; p-values are adjusted over {verdicts.tested} by Holm's procedure "
        f"[@holm1979simple]{handed}."
    )
    said.append(
        f"{on}ranks are simultaneous {declared.confidence} confidence ranks that follow from the same tests "
        "[@mogstad2024inference]."
    )
    return said


def _settings(spec: Mapping[str, Any], labels: Iterable[str]) -> list[str]:
    given, tuning = dict(spec.get("given", {}).get("strategies", ())), spec.get("tuning") or {}
    plain, own, tuned = [], [], []
    for label in labels:
        said = given.get(label)
        values = {k: v for k, v in said.items() if k not in ("use", "label")} if isinstance(said, Mapping) else {}
        shown = ", ".join(f"{name} = {value}" for name, value in values.items())
        if label in tuning:
            entry = tuning[label]
            where = entry.get("source") or (
                f"tuned on {', '.join(entry.get('tasks', ()))} for "
                + ", ".join(f"{amount:g} {axis}" for axis, amount in (entry.get("cost") or {}).items())
            )
            tuned.append(f"{label} ({where}{f'; {shown}' if shown else ''})")
        elif values:
            own.append(f"{label} ({shown})")
        else:
            plain.append(label)
    said = []
    if plain:
        said.append(f"Untuned defaults of the library: {_listed(plain)}.")
    if own:
        said.append(f"Settings chosen by us, their tuning not recorded: {_listed(own)}.")
    if tuned:
        said.append(f"Settings with a recorded origin: {_listed(tuned)}.")
    return said


def _failures(blocks: Sequence[Block]) -> list[str]:
    total, judged = (sum(getattr(row, name) for block in blocks for row in block.rows) for name in ("total", "n"))
    if total == judged:
        return [f"All {total} searches gave a result."] if total else []
    return [
        f"{total - judged} of {total} searches gave no result; means leave them out, tests rank them worst, and a "
        "strategy of which more than a fifth failed is not ranked."
    ]


def _software(kept: Mapping[str, Any]) -> list[str]:
    packages = kept.get("packages") or {}
    shown = [f"searchbench {packages['searchbench']}"] if "searchbench" in packages else []
    if kept.get("commit"):
        shown.append(f"commit {str(kept['commit'])[:12]}")
    if kept.get("python"):
        shown.append(f"Python {kept['python']}")
    shown += [f"{name} {packages[name]}" for name in PACKAGES if name in packages]
    where = ", ".join(str(kept[name]) for name in ("processor", "system") if kept.get(name))
    return [f"Software: {', '.join(shown)}{f'; hardware: {where}' if where else ''}."] if shown else []


def _cites(keys: Sequence[str]) -> str:
    return f" [{'; '.join(f'@{key}' for key in keys)}]" if keys else ""


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    comma = "; " if any("," in name or " and " in name for name in names) else ", "
    return f"{comma.join(names[:-1])}{comma if comma == '; ' else ' '}and {names[-1]}"


def _set(sentence: str, form: Form) -> str:
    """A sentence in a form, with its citations."""
    escape: Callable[[str], str] = latex.escape if form == "tex" else markdown.escape
    parts = re.split(r"( ?\[@[^\]]*\])", sentence)
    out = []
    for part in parts:
        keys = re.findall(r"@([\w-]+)", part) if re.fullmatch(r" ?\[@[^\]]*\]", part) else []
        if not keys:
            out.append(escape(part).replace(r"\textquotesingle{}", "'"))
        else:
            out.append(rf"~\cite{{{','.join(keys)}}}" if form == "tex" else part)
    return "".join(out)
