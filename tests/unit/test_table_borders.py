"""Files that people give as tables: dialects of CSV are read, other kinds are refused with the way out."""

from __future__ import annotations

import json
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import searchbench as sb
from searchbench.errors import DataMissing, InputError, StudyError, TableError
from searchbench.harness.declared.plan import plan
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, When
from searchbench.spaces.space import Space
from searchbench.tables.importing import from_columns, from_fcnet, from_macro, write
from searchbench.tables.table import Table
from searchbench.trial import FULL

SPACE = Space("tiny", (Choice("left", ("a", "b")), Choice("right", ("x", "y"))))
ROWS = {
    "architecture": ["left=a,right=x", "left=a,right=y", "left=b,right=x", "left=b,right=y"],
    "validation": [0.9, 0.8, 0.75, 0.5],
    "test": [0.89, 0.79, 0.7, 0.45],
}
SEEDS = Seeds("study", 0)


def opened(path, **given):
    return Table(str(path), test=("test",), **given).open(SPACE, None, SEEDS)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("semicolons.csv", {"sep": ";"}),
        ("decimal-commas.csv", {"sep": ";", "decimal": ","}),
        ("tabs.tsv", {"sep": "\t"}),
        ("tabs-and-commas.txt", {"sep": "\t", "decimal": ","}),
        ("bars.csv", {"sep": "|"}),
        ("utf16.csv", {"encoding": "utf-16"}),
        ("utf16-tabs.csv", {"encoding": "utf-16", "sep": "\t"}),
        ("mark.csv", {"encoding": "utf-8-sig"}),
        ("packed.csv.gz", {"sep": ";"}),
    ],
)
def test_every_dialect_says_the_same(tmp_path, name, options):
    pd.DataFrame(ROWS).to_csv(tmp_path / name, index=False, **options)
    table = opened(tmp_path / name)
    points = list(SPACE.enumerate())
    found = [table.evaluate(point, FULL, 0)[0].value for point in points]
    assert found == pytest.approx([0.1, 0.2, 0.25, 0.5])


def test_a_parquet_file_is_one_whatever_it_is_called(tmp_path):
    pd.DataFrame(ROWS).to_parquet(tmp_path / "table.csv.parquet")
    (tmp_path / "table.csv.parquet").rename(tmp_path / "table.csv")
    assert len(opened(tmp_path / "table.csv").repeats(next(SPACE.enumerate()))) == 1


def a_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (architecture, validation)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (a_database, "SQLite"),
        (lambda path: path.write_text('[{"architecture": "left=a,right=x"}]'), "JSON"),
        (lambda path: path.write_text('\n {"a": 1}'), "JSON"),
        (lambda path: path.write_bytes(b"PK\x03\x04xyz"), "ZIP"),
        (lambda path: path.write_bytes(b"\x80\x04\x95xyz"), "pickle"),
        (lambda path: path.write_bytes(b"\x93NUMPY" + bytes(80)), "NumPy"),
        (lambda path: path.write_bytes(b"\x01\x00\x02" * 50), "binary"),
        (lambda path: path.write_bytes(b""), "no column"),
        (lambda path: path.write_text("architecture,validation\n"), "no rows"),
        (lambda path: path.write_bytes("architecture,validation\nä,1\n".encode("latin-1")), "UTF-8"),
        (lambda path: path.mkdir(), "is the folder"),
    ],
)
def test_what_is_no_table_is_refused_with_what_it_is(tmp_path, make, says):
    path = tmp_path / "table.csv"
    make(path)
    with pytest.raises(TableError, match=says):
        opened(path)


def test_a_missing_table_is_not_found(tmp_path):
    with pytest.raises(DataMissing, match="not found"):
        opened(tmp_path / "none.csv")
    for read in (from_macro, lambda path: from_fcnet(path, "d"), lambda path: from_columns(Table(path), SPACE)):
        with pytest.raises(DataMissing, match="not found"):
            read(str(tmp_path / "none.csv"))


# -- units ---------------------------------------------------------------------------------------------------------


def test_shares_declared_as_percent_are_refused_by_search_and_judge(tmp_path):
    pd.DataFrame(ROWS).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TableError, match="they are shares"):
        opened(tmp_path / "t.csv", percent=True)
    with pytest.raises(TableError, match="they are shares"):
        Table(str(tmp_path / "t.csv"), test=("test",), percent=True).judge().open(SPACE, None, SEEDS)


def test_percent_declared_as_shares_are_refused_with_the_way_out(tmp_path):
    pd.DataFrame({**ROWS, "validation": [90, 80, 75, 50]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TableError, match="`percent`"):
        opened(tmp_path / "t.csv")


def test_one_column_in_percent_and_the_other_not_is_refused_even_where_both_are_plausible(tmp_path):
    errors = {**ROWS, "validation": [0.1, 0.2, 0.3, 0.4], "test": [11.0, 21.0, 31.0, 41.0]}
    pd.DataFrame(errors).to_csv(tmp_path / "t.csv", index=False)
    table = Table(str(tmp_path / "t.csv"), test=("test",), higher_is_better=False)
    with pytest.raises(TableError, match="same unit"):
        write(from_columns(table, SPACE), tmp_path / "out.parquet", None)
    assert not (tmp_path / "out.parquet").exists()


# -- what a study may ask of a table ----------------------------------------------------------------------------


def study(path: Path, budget: sb.Budget, space: Space = SPACE, **given) -> sb.Study:
    rows = {**ROWS, "macs": [1e9, 2e9, 3e9, 4e9], "seconds": [10.0, 20.0, 30.0, 40.0]}
    pd.DataFrame(rows).to_csv(path, index=False)
    table = Table(str(path), test=("test",), partial=True, **given)
    return sb.Study("s", sb.Problem(space, "digits", table, label="p"), ["random"], 2, budget)


@pytest.mark.parametrize("axis", ["macs", "seconds", "epochs", "samples"])
def test_a_budget_that_a_table_never_charges_is_refused_at_planning(tmp_path, axis):
    with pytest.raises(StudyError, match=f"`{axis}`.*charges nothing.*`evaluations`"):
        plan(study(tmp_path / "t.csv", sb.Budget(**{axis: 10})))


def test_recorded_macs_are_charged_and_end_the_run(tmp_path):
    asked = study(tmp_path / "t.csv", sb.Budget(macs=2e10), train_macs="macs")
    results = sb.run(asked, tmp_path / "s.db", workers=0)
    for run in results.runs().to_dict("records"):
        assert run["ended"] == "budget"
        assert 1.6e10 < run["spent_macs"] <= 2e10


def test_the_shipped_table_charges_what_its_trainings_took():
    table = Table()
    assert set(table.charges()) == {"evaluations", "epochs", "seconds", "macs"}


def test_a_table_that_no_drawn_number_can_hit_is_refused_at_planning(tmp_path):
    space = Space("numbers", (Float("lr", 0.0, 1.0), Choice("left", ("a", "b"))))
    with pytest.raises(StudyError, match="real number"):
        plan(study(tmp_path / "t.csv", sb.Budget(evaluations=2), space))


def test_a_number_that_only_some_points_have_is_allowed():
    space = Space("numbers", (Choice("left", ("a", "b")), Float("lr", 0.0, 1.0, when=When("left", ("a",)))))
    Table("any").check(space, None)


# -- anything at all ------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_to_a_csv_file_is_a_table_or_an_input_error(tmp_path, data):
    pd.DataFrame(ROWS).to_csv(tmp_path / "t.csv", index=False)
    content = bytearray((tmp_path / "t.csv").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    (tmp_path / "t.csv").write_bytes(content)
    try:
        table = opened(tmp_path / "t.csv")
    except InputError:
        return
    assert all(0 <= value <= 1 for point in SPACE.enumerate() for value in table.repeats(point))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON, st.sampled_from(["whole", "entry", "accuracies", "params"]))
def test_any_json_is_a_macro_table_or_an_input_error(tmp_path, value, place):
    entry = {"test_acc": [90.0, 91.0, 92.0], "params": 1.0, "flops": 2.0}
    entry |= {"test_acc": value} if place == "accuracies" else {"params": value} if place == "params" else {}
    content = value if place == "whole" else {"00000000": value if place == "entry" else entry}
    (tmp_path / "m.json").write_text(json.dumps(content))
    try:
        write(from_macro(str(tmp_path / "m.json")), tmp_path / "m.parquet", None)
    except InputError:
        assert not (tmp_path / "m.parquet").exists()


def test_a_json_nested_without_end_is_refused(tmp_path):
    (tmp_path / "m.json").write_text("[" * 100_000)
    with pytest.raises(TableError):
        from_macro(str(tmp_path / "m.json"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON, st.lists(st.integers(-3, 3), min_size=4, max_size=4))
def test_any_space_in_an_fcnet_file_is_a_table_or_an_input_error(tmp_path, declared, index):
    arrays = {"config_index": np.reshape(index, (2, 2)), "space": np.array(json.dumps(declared)), "d": np.ones((2, 2))}
    np.savez(tmp_path / "f.npz", **arrays)
    try:
        from_fcnet(str(tmp_path / "f.npz"), "d")
    except InputError:
        return


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", struct.pack("<I", 1) * 40])
def test_a_damaged_archive_is_refused(tmp_path, content):
    (tmp_path / "f.npz").write_bytes(content)
    with pytest.raises(TableError):
        from_fcnet(str(tmp_path / "f.npz"), "d")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.json", "[{}]", "a JSON text"),
        ("t.csv", "architecture,validation,test\n", "has no rows"),
        ("t.csv", "architecture,validation,test\nleft=a,0.5,0.5\n", "row 1, column `architecture`"),
        ("t.csv", pd.DataFrame({**ROWS, "test": [89.0, 79, 70, 45]}).to_csv(index=False), "column `test`.*`percent`"),
    ],
    ids=["json", "empty", "architecture", "test column"],
)
def test_a_file_that_cannot_be_used_is_told_before_a_store_is_there(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    problem = sb.Problem(SPACE, "digits", Table(str(tmp_path / name), test=("test",)))
    study = sb.Study("s", problem, ["random"], 1, sb.Budget(evaluations=3))
    with pytest.raises(TableError, match=says):
        sb.run(study, tmp_path / "s.db", workers=0, progress=False)
    assert not (tmp_path / "s.db").exists()


def test_a_shipped_table_of_another_space_is_told_before_a_store_is_there(tmp_path):
    study = sb.Study("s", sb.Problem(SPACE, "digits", "table"), ["random"], 1, sb.Budget(evaluations=3))
    with pytest.raises(TableError, match="row 1, column `architecture`"):
        sb.run(study, tmp_path / "s.db", workers=0, progress=False)
    assert not (tmp_path / "s.db").exists()
