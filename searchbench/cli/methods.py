"""`methods`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchbench.cli.options import store_option
from searchbench.whole_file import whole

if TYPE_CHECKING:
    from searchbench.reports.methods import Form


@click.command()
@click.argument("study", required=False)
@store_option
@click.option("--format", "form", type=click.Choice(("tex", "md")), default="tex", show_default=True)
@click.option("--bib", type=click.Path(dir_okay=False, path_type=Path), help="Write the sources cited to this file.")
def methods(study: str | None, store: str, form: Form, bib: Path | None) -> None:
    """A methods paragraph of a study for a paper, and the BibTeX entries of what it cites."""
    from searchbench.reports.dossier import read
    from searchbench.reports.methods import methods as describe
    from searchbench.results.store import open_store

    with open_store(store) as opened:
        dossier = read(opened, study)
    found = describe(dossier, sources(dossier.spec))
    click.echo(found.paragraph(form).rstrip("\n"))
    if bib is None:
        click.echo(f"\n{found.bib}".rstrip("\n"))
    else:
        with whole(bib) as place:
            place.write_text(found.bib, encoding="utf-8")
    if found.unsourced:
        click.echo(f"to be cited by hand, no source is known here: {', '.join(found.unsourced)}", err=True)


def sources(spec: Mapping[str, Any]) -> dict[str, str]:
    """The source, by label, that a strategy's documentation names; only the package's own are looked at."""
    from searchbench.strategies import STRATEGIES

    found = {}
    for label, given in dict(spec.get("given", {}).get("strategies", ())).items():
        name = given.get("use") if isinstance(given, Mapping) else given
        prefix = str(name).partition(":")[0]
        if name in STRATEGIES.builtin or prefix in STRATEGIES.adapters:
            found[label] = _source(STRATEGIES.described(str(name)))
    return found


def _source(thing: Any) -> str:
    """What its docstring names behind `Source:`, or that of the thing it refers to there."""
    said = (thing.__doc__ or "").partition("Source:")[2].partition("\n\n")[0]
    refers = re.match(r"\s*see `(\w+)`", said)
    other = getattr(inspect.getmodule(thing), refers[1], None) if refers else None
    return said if other is None else (other.__doc__ or "").partition("Source:")[2].partition("\n\n")[0]
