"""`export`, `import` and `merge`: studies as Parquet bundles."""

from __future__ import annotations

from pathlib import Path

import click

from searchbench.cli.options import store_option, terminal


@click.command()
@click.argument("study", required=False)
@store_option
@click.option("--out", type=click.Path(path_type=Path), default=None, help="The file. [default: STUDY.parquet]")
def export(study: str | None, store: str, out: Path | None) -> int:
    """A study with all its runs, trials and declarations as one Parquet file. It is tried first: whether it rebuilds
    the leaderboard is said, recorded for the checklist (C30), and the exit code."""
    from searchbench.errors import StoreError
    from searchbench.reports.rebuilding import rebuild
    from searchbench.results.bundle import bundle, write_bundle
    from searchbench.results.store import open_store

    with open_store(store) as opened:
        found = bundle(opened, study)
        tried = rebuild(found, opened)
    try:
        with open_store(store, write=True) as opened:
            opened.add_check(tried)
        found = found.with_check(tried)
    except StoreError as error:
        terminal(stderr=True).print(f"not recorded for the checklist: {error}", markup=False, emoji=False)
    written = write_bundle(found, Path(f"{found.name}.parquet") if out is None else out)
    told = f"{written}: {len(found.rows)} runs of study {found.name}; {tried.said}"
    terminal().print(told, markup=False, emoji=False)
    return 0 if tried.passed else 1


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@store_option
def import_bundle(file: Path, store: str) -> None:
    """A bundle that `export` wrote, into a store that does not hold its study."""
    from searchbench.results.bundle import load, read_bundle
    from searchbench.results.store import open_store

    found = read_bundle(file)
    with open_store(store, write=True) as opened:
        count = load(found, opened)
    terminal().print(f"{store}: {count} runs of study {found.name}", markup=False, emoji=False)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@click.option("--study", default=None, help="Only this study of stores. [default: every study]")
@click.option("--store", "out", required=True, metavar="PATH|URL", help="The store to write, without these studies.")
def merge(files: tuple[Path, ...], study: str | None, out: str) -> None:
    """Stores and bundles, together in one store; parts of the same study that were run apart become one."""
    from searchbench.results.bundle import Bundle, load, merged, of_any
    from searchbench.results.store import open_store

    by_name: dict[str, list[Bundle]] = {}
    for file in files:
        for found in of_any(file, study):
            by_name.setdefault(found.name, []).append(found)
    together = [merged(parts) for parts in by_name.values()]
    with open_store(out, write=True) as opened:
        counts = {found.name: load(found, opened) for found in together}
    for name, count in counts.items():
        terminal().print(f"{out}: {count} runs of study {name}", markup=False, emoji=False)
