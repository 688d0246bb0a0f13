"""`table import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchbench.cli.options import terminal

if TYPE_CHECKING:
    from searchbench.tables.recorded_rows import Between
    from searchbench.tables.settings import Settings

SETTINGS = ("lcbench", "yahpo", "nasbench301")
"""Formats of recorded settings, between which proposals are answered."""
COLUMN: dict[str, Any] = {"multiple": True, "metavar": "COLUMN"}


@click.command("import")
@click.argument("path")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The Parquet file to write."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["columns", "macro", "fcnet", "nats", "nasbench101", *SETTINGS]),
    default="columns",
    show_default=True,
)
@click.option("--space", default="nasbench201", show_default=True, help="Of the architectures [columns].")
@click.option("--architecture", default="architecture", show_default=True, metavar="COLUMN")
@click.option("--validation", help="Validation score, one column per repeat.", **COLUMN)
@click.option("--test", help="Test score, one column per repeat.", **COLUMN)
@click.option("--metric", help="A further column, reported as a metric.", **COLUMN)
@click.option("--params", metavar="COLUMN")
@click.option("--macs", metavar="COLUMN")
@click.option("--seconds", metavar="COLUMN", help="Recorded seconds of the full training.")
@click.option("--epochs", type=float, help="Epochs of the full training.")
@click.option("--percent", is_flag=True, help="Scores are in percent.")
@click.option("--lower-is-better", is_flag=True, help="Scores are errors or losses.")
@click.option("--partial", is_flag=True, help="Architectures may be missing.")
@click.option("--join", nargs=2, metavar="FILE COLUMN", help="A file with the test columns, and the column of both.")
@click.option(
    "--beside", nargs=3, multiple=True, metavar="FILE COLUMN NAMES", help="A file with metrics, joined: NAMES is a,b,c."
)
@click.option("--data", help="The data set, as the file names it [fcnet, nats, lcbench, yahpo].")
@click.option("--recipe", type=int, help="Epochs of the recipe that counts as full; the longest by default [nats].")
@click.option("--parameters", metavar="A,B,…", help="Columns of hyper-parameters: rows are settings [columns].")
@click.option(
    "--between",
    type=click.Choice(["nearest", "forest", "refuse"]),
    default="nearest",
    show_default=True,
    help="How proposals between recorded settings are answered [--parameters, lcbench, yahpo, nasbench301].",
)
def import_table(
    path: str,
    out: Path,
    kind: str,
    parameters: str | None,
    between: Between,
    **given: Any,
) -> None:
    """Bring the table in PATH into the package's own form, checked; prints the lines a study file needs.

    columns: any CSV or Parquet file, its columns mapped by the options below.
    macro: NAS-Bench-Macro's JSON. fcnet: HPO-Bench's networks as .npz, with --data.
    nats: NAS-Bench-201's .pth or NATS-Bench's folder, tar or file, with --data.
    nasbench101: its TFRecord. Pickles are read without running what they may hold.
    lcbench: LCBench's JSON. yahpo: rows of a YAHPO scenario. nasbench301: its folder or archive of results.
    """
    from searchbench.tables.importing import as_toml, write
    from searchbench.tasks import TASKS

    if parameters is not None or kind in SETTINGS:
        _import_settings(out, _settings(path, kind, parameters, between, given))
        return
    content = _content(path, kind, given)
    table = write(content, out, TASKS.factory("digits")())
    console = terminal()
    console.print(f"{out}: {len(content.columns['architecture']):,} rows, all checks passed", markup=False)
    console.print(as_toml(table, content.space), markup=False, soft_wrap=True, highlight=False)


def _settings(path: str, kind: str, parameters: str | None, between: Between, given: dict[str, Any]) -> Settings:
    from searchbench.errors import InputError
    from searchbench.tables.published_settings import from_lcbench, from_nasbench301, from_yahpo
    from searchbench.tables.recorded_rows import RecordedRows
    from searchbench.tables.settings import read_settings

    seen, judged = given["validation"], given["test"]
    if parameters is not None and kind != "columns":
        raise InputError(f"`--parameters` names columns of any file; the settings of {kind} are known.")
    if len(seen) > 1 or len(judged) > 1 or (parameters is not None and not seen):
        raise InputError("recorded settings have one `--validation COLUMN` and at most one `--test COLUMN`.")
    if kind == "nasbench301":
        return from_nasbench301(path, between)
    if parameters is None:
        read = from_lcbench if kind == "lcbench" else from_yahpo
        return read(path, given["data"], between, *(names[0] if names else None for names in (seen, judged)))
    higher, test = not given["lower_is_better"], judged[0] if judged else ""
    table = RecordedRows(path, seen[0], test, between, higher, given["seconds"] or "")
    return read_settings(path, [name.strip() for name in parameters.split(",")], table)


def _import_settings(out: Path, settings: Settings) -> None:
    from searchbench.tables.recorded_rows import forest_error
    from searchbench.tables.settings import as_toml, write

    written, space = write(settings, out), settings.space
    console = terminal()
    rows = len(next(iter(settings.texts.values())))
    left = f"; left out: {settings.left_out}" if settings.left_out else ""
    console.print(f"{out}: {rows:,} settings of {len(settings.texts)} decisions{left}", markup=False, soft_wrap=True)
    if written.between == "forest":
        told = forest_error(written, space)
        console.print(
            f"forest, five-fold cross-validation: RMSE {told['rmse']:.4g} beside a standard deviation of "
            f"{told['std']:.4g}, Kendall's tau {told['tau']:.3f}",
            markup=False,
        )
    console.print(as_toml(written, space), markup=False, soft_wrap=True, highlight=False)


def _content(path: str, kind: str, given: dict[str, Any]) -> Any:
    from searchbench.errors import InputError
    from searchbench.spaces import SPACES
    from searchbench.tables.importing import Beside, from_columns, from_fcnet, from_macro
    from searchbench.tables.table import Join, Table

    if kind == "macro":
        return from_macro(path)
    if kind == "fcnet":
        if not given["data"]:
            raise InputError("`--format fcnet` needs `--data NAME`: which data set's losses to import.")
        return from_fcnet(path, given["data"])
    if kind == "nats":
        from searchbench.tables.nats import from_nats

        return from_nats(path, given["data"] or "cifar10", given["recipe"], given["partial"])
    if kind == "nasbench101":
        from searchbench.tables.nasbench101 import from_nasbench101

        return from_nasbench101(path, given["partial"])
    if not given["validation"]:
        raise InputError("at least one `--validation COLUMN` is needed: what a search may see.")
    same = ("architecture", "validation", "test", "params", "macs", "seconds", "epochs", "percent", "partial")
    table = Table(
        path,
        **{name: given[name] for name in same},
        higher_is_better=not given["lower_is_better"],
        join=Join(*given["join"]) if given["join"] else None,
        metrics=given["metric"],
    )
    beside = [Beside(file, on, tuple(names.split(","))) for file, on, names in given["beside"]]
    return from_columns(table, SPACES.factory(given["space"])(), beside)
