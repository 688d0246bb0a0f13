"""A study in one Parquet file: every run with its recording, every declaration with its provenance.

A bundle rebuilds the study in another store, byte for byte in what is shown. Bundles of the same study that were run
apart (other seeds, other strategies) are merged, where they measured the same thing under the same budget.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from searchbench.errors import InputError, StoreError
from searchbench.results.columns import first_difference
from searchbench.results.history import History
from searchbench.results.records import CheckRecord, StudyRecord, timestamp
from searchbench.results.store import ResultStore, open_store
from searchbench.whole_file import whole

FORMAT = 1
KEY = b"searchbench.bundle"
SAME = ("status", "architecture_key", "value", "test_status", "test_error", "fingerprint", "budget")
"""Columns of a run that no machine changes."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A study out of its store."""

    revisions: tuple[StudyRecord, ...]
    rows: tuple[Mapping[str, Any], ...]
    source: str
    """How messages name it."""
    checks: tuple[CheckRecord, ...] = ()
    """What became of reruns and of rebuilding it."""

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.revisions[0].name

    def with_check(self, check: CheckRecord) -> Bundle:
        """The bundle with a further check."""
        return replace(self, checks=(*self.checks, check))


def bundle(store: ResultStore, study: str | None = None) -> Bundle:
    """A study of a store; the one declared last without a name. Raises StoreError where there is none."""
    name = store.study(study).name
    return Bundle(
        tuple(store.revisions(name)),
        tuple(store.rows(name)),
        f"study `{name}` of {store.location.shown}",
        tuple(store.checks(name)),
    )


def write_bundle(found: Bundle, out: Path) -> Path:
    """Write a bundle as one Parquet file, whole or not at all.

    Raises:
        InputError: the file is there already, or is not called `.parquet`.
    """
    import pyarrow as pa
    from pyarrow import parquet

    if out.suffix != ".parquet":
        raise InputError(f"a bundle is a Parquet file, but `{out}` is not called so; name it `{out.stem}.parquet`.")
    told = {
        "format": FORMAT,
        "revisions": [
            {"name": r.name, "spec": r.spec, "created": r.created, "revision": r.revision, "provenance": r.provenance}
            for r in found.revisions
        ],
        "checks": [asdict(check) for check in found.checks],
    }
    table = pa.Table.from_pylist([dict(row) for row in found.rows], _schema())
    with whole(out, fresh=True) as place:
        parquet.write_table(table.replace_schema_metadata({KEY: json.dumps(told)}), place, compression="zstd")
    return out


def read_bundle(path: Path) -> Bundle:
    """Read what `write_bundle` wrote.

    Raises:
        InputError: the file is absent, no bundle, damaged, or of a newer format.
    """
    import pyarrow as pa
    from pyarrow import parquet

    if not path.is_file():
        raise InputError(f"there is no bundle `{path}`; `searchbench export STUDY --out {path}` writes one.")
    try:
        table = parquet.read_table(path)
        told = json.loads((table.schema.metadata or {})[KEY])
        revisions = tuple(StudyRecord(**revision) for revision in told["revisions"])
        checks = tuple(CheckRecord(**check) for check in told.get("checks", ()))
    except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"`{path}` is no bundle of a study, or is damaged: {error}") from error
    if told["format"] > FORMAT:
        raise InputError(f"`{path}` is a bundle of format {told['format']}; this version reads up to {FORMAT}.")
    return Bundle(revisions, tuple(table.to_pylist()), str(path), checks)


def merged(bundles: Sequence[Bundle]) -> Bundle:
    """One study out of bundles of it that were run apart; its last declaration holds all of theirs.

    Raises:
        StoreError: they are of other studies, problems, budgets or policies, the same strategy is described
            differently, or the same run has other results.
    """
    first, *others = bundles
    for other in others:
        _check_alike(first, other)
    rows: dict[str, Mapping[str, Any]] = {}
    for part in bundles:
        for row in part.rows:
            known = rows.setdefault(str(row["run_id"]), row)
            if known is not row:
                _check_same_run(known, row, part)
    checks = tuple(dict.fromkeys(check for part in bundles for check in part.checks if check.kind == "rerun"))
    return Bundle(_revisions(bundles), tuple(rows.values()), " + ".join(part.source for part in bundles), checks)


def load(found: Bundle, store: ResultStore) -> int:
    """Write a bundle into a store that does not hold its study; returns how many runs it has.

    Raises:
        StoreError: the store holds a study of that name.
    """
    if store.revisions(found.name):
        raise StoreError(
            f"the store `{store.location.shown}` already holds a study `{found.name}`; `searchbench merge` puts runs "
            "of the same study together in a new store."
        )
    for revision in found.revisions:
        store.add_study(revision)
    for row in found.rows:
        store.add_row(row)
    for check in found.checks:
        store.add_check(check)
    return len(found.rows)


def of_any(path: Path, study: str | None = None) -> list[Bundle]:
    """The bundles in a file: a bundle, or every study (or the named one) of a store. Raises InputError."""
    if path.suffix == ".parquet":
        return [read_bundle(path)]
    with open_store(path) as store:
        names = [record.name for record in store.studies()] if study is None else [study]
        return [bundle(store, name) for name in names]


def _revisions(bundles: Sequence[Bundle]) -> tuple[StudyRecord, ...]:
    """All declarations in the order of time, and at the end the union of all where they differ."""
    different: dict[tuple[str, str], StudyRecord] = {}
    for revision in sorted((r for part in bundles for r in part.revisions), key=lambda r: r.created):
        different.setdefault((revision.spec, str(revision.provenance.get("packages"))), revision)
    found = [replace(revision, revision=number) for number, revision in enumerate(different.values(), start=1)]
    if len(found) == 1:
        return tuple(found)
    declared = History(tuple(found), (0,) * len(found)).whole.declared
    kept = {key: value for key, value in declared.items() if key not in ("looks_taken", "left_out", "caveats")}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if text == found[-1].spec:
        return tuple(found)
    now = timestamp()
    provenance = {"merged": [part.source for part in bundles]}
    return (*found, StudyRecord(found[0].name, text, now, len(found) + 1, provenance))


def _check_alike(first: Bundle, other: Bundle) -> None:
    if first.name != other.name:
        raise StoreError(f"{first.source} is study `{first.name}`, but {other.source} is `{other.name}`.")
    before, now = first.revisions[-1].declared, other.revisions[-1].declared
    for key in ("budget", "duplicates"):
        if before.get(key) != now.get(key):
            raise StoreError(
                f"study `{first.name}` has `{key}` {before.get(key)} in {first.source}, "
                f"{now.get(key)} in {other.source}; their results are not comparable."
            )
    for kind, identity in (("problems", "fingerprint"), ("strategies", "description")):
        known = {entry["label"]: entry.get(identity) for entry in before.get(kind, ())}
        for entry in now.get(kind, ()):
            if known.get(entry["label"], entry.get(identity)) != entry.get(identity):
                raise StoreError(
                    f"`{entry['label']}` of study `{first.name}` has another {identity} in {first.source} than in "
                    f"{other.source}; their results are not comparable. Give one of the studies another name."
                )


def _check_same_run(known: Mapping[str, Any], row: Mapping[str, Any], part: Bundle) -> None:
    named = f"run `{row['run_id']}` ({row['strategy']}, seed {row['replicate']})"
    for name in SAME:
        if known[name] != row[name]:
            raise StoreError(
                f"{named} has `{name}` {known[name]} in one source and {row[name]} in {part.source}; the same run must "
                "have the same result. `searchbench verify` finds out which of them repeats."
            )
    different = first_difference(known["trials"], row["trials"])
    if different is not None:
        raise StoreError(
            f"{named}: trial {different.trial} differs in `{different.column}` between the sources; the same run must "
            "have the same trials."
        )


def _schema() -> Any:
    import pyarrow as pa
    from sqlalchemy import BigInteger, Float, Integer, LargeBinary

    from searchbench.results.schema import recordings, runs

    def kind(column: Any) -> Any:
        if isinstance(column.type, LargeBinary):
            return pa.large_binary()
        if isinstance(column.type, Float):
            return pa.float64()
        return pa.int64() if isinstance(column.type, BigInteger | Integer) else pa.string()

    columns = [column for column in runs.c if column.name != "id"]
    columns += [recordings.c.trials, recordings.c.traces]
    return pa.schema([(column.name, kind(column)) for column in columns])


def rebuilds(store: ResultStore, study: str, folder: Path) -> bool:
    """Whether a bundle of a study, loaded into a new store, holds the same declarations and runs to the last byte.

    Args:
        folder: an empty one, for the bundle and the store.
    """
    out = write_bundle(bundle(store, study), folder / "bundle.parquet")
    with open_store(folder / "rebuilt.db", write=True) as rebuilt:
        load(read_bundle(out), rebuilt)
        return rebuilt.revisions(study) == store.revisions(study) and rebuilt.rows(study) == store.rows(study)
