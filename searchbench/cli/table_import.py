"""`table import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from searchbench.cli.options import terminal

COLUMN: dict[str, Any] = {"multiple": True, "metavar": "COLUMN"}


@click.command("import")
@click.argument("path")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The Parquet file to write."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["columns", "macro", "fcnet", "nats", "nasbench101"]),
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
@click.option("--data", help="The data set [fcnet, nats].")
@click.option("--recipe", type=int, help="Epochs of the recipe that counts as full; the longest by default [nats].")
@click.option("--parameters", metavar="A,B,…", help="Columns of hyper-parameters: rows are settings [columns].")
@click.option(
    "--between",
    type=click.Choice(["nearest", "forest", "refuse"]),
    default="nearest",
    show_default=True,
    help="How proposals between recorded settings are answered [--parameters].",
)
def import_table(
    path: str,
    out: Path,
    kind: str,
    parameters: str | None,
    between: Literal["nearest", "forest", "refuse"],
    **given: Any,
) -> None:
    """Bring the table in PATH into the package's own form, checked; prints the lines a study file needs.

    columns: any CSV or Parquet file, its columns mapped by the options below.
    macro: NAS-Bench-Macro's JSON. fcnet: HPO-Bench's networks as .npz, with --data.
    nats: NAS-Bench-201's .pth or NATS-Bench's folder, tar or file, with --data.
    nasbench101: its TFRecord. Pickles are read without running what they may hold.
    """
    from searchbench.tables.importing import as_toml, write
    from searchbench.tasks import TASKS

    if parameters is not None:
        _import_settings(path, out, parameters, between, given)
        return
    content = _content(path, kind, given)
    table = write(content, out, TASKS.factory("digits")())
    console = terminal()
    console.print(f"{out}: {len(content.columns['architecture']):,} rows, all checks passed", markup=False)
    console.print(as_toml(table, content.space), markup=False, soft_wrap=True, highlight=False)


def _import_settings(
    path: str, out: Path, parameters: str, between: Literal["nearest", "forest", "refuse"], given: dict[str, Any]
) -> None:
    from searchbench.errors import InputError
    from searchbench.tables.recorded_rows import RecordedRows, as_toml, forest_error, write_rows

    if len(given["validation"]) != 1 or len(given["test"]) > 1:
        raise InputError("recorded settings have one `--validation COLUMN` and at most one `--test COLUMN`.")
    table = RecordedRows(
        path,
        given["validation"][0],
        given["test"][0] if given["test"] else "",
        between,
        not given["lower_is_better"],
        given["seconds"] or "",
    )
    names = [name.strip() for name in parameters.split(",")]
    written, space = write_rows(path, names, table, str(out))
    console = terminal()
    if between == "forest":
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
