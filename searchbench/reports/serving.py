"""The pages of stores over loopback while their studies run: read, never written, and nothing of them is executed.

Only stores that were found in the folder are served, each under the name it was found by: an address is looked up among
those names and never joined to a path. Requests must name this machine as their host, so that a page of elsewhere
cannot read through a name that it makes point here.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from searchbench.errors import InputError, StoreError
from searchbench.printable import printable
from searchbench.reports.dossier import AXES, read
from searchbench.reports.exports import tables
from searchbench.reports.measured import metric_of
from searchbench.reports.page import figures_of, index_html, to_html
from searchbench.reports.runs import cells, detail
from searchbench.results.location import Location
from searchbench.results.records import RunRecord
from searchbench.results.schema import APPLICATION_ID
from searchbench.results.store import ResultStore, open_store

LOOPBACK = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost", "[::1]")
MOST_STORES = 1000
RECENT = 5
"""Failures that a progress report tells of."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request is answered with."""

    text: str
    kind: str = "text/html; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    location: str = ""


@dataclass(slots=True)
class Shelf:
    """The stores that are served: one, or those found in a folder at the time of asking.

    Raises:
        InputError: there is no such folder or store.
    """

    root: Path
    _pages: dict[tuple[str, str], tuple[object, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.root = self.root.resolve()
        if not self.root.exists():
            raise InputError(f"there is no store or folder `{self.root}` to serve.")
        if not self.root.is_dir() and not self.stores():
            raise InputError(f"`{self.root}` is no store of this package.")

    def stores(self) -> dict[str, Path]:
        """Stores by name: their paths below the folder, sorted. Links that lead out of it are left out."""
        if not self.root.is_dir():
            return {self.root.name: self.root} if _is_store(self.root) else {}
        found = sorted(path for path in self.root.rglob("*.db") if path.resolve().is_relative_to(self.root))
        return {path.relative_to(self.root).as_posix(): path for path in found[:MOST_STORES] if _is_store(path)}

    def answer(self, target: str) -> Answered:
        """What stands at an address: `/`, `/STORE/STUDY/`, and below that `progress` and `run?id=ID`."""
        asked = urlsplit(target)
        parts = asked.path.split("/")[1:]
        names = [unquote(part) for part in parts]
        try:
            if names == [""]:
                return Answered(index_html(self._listed()))
            if len(names) != 3 or names[0] not in (stores := self.stores()):
                return _missing("there is no such page")
            if names[2] == "":
                return self._page(names[0], names[1], stores[names[0]])
            query = {key: values[-1] for key, values in parse_qs(asked.query).items()}
            with _opened(stores[names[0]]) as store:
                if names[2] == "progress":
                    return _as_json(progress(store, names[1]) | {"stamp": _stamp(stores[names[0]])})
                if names[2] == "run" and "id" in query:
                    return _as_json(_one_run(store, names[1], query["id"]))
        except StoreError as error:
            return _missing(str(error))
        return _missing("there is no such page")

    def _listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for name, path in self.stores().items():
            try:
                with _opened(path) as store:
                    studies = [progress(store, study.name) for study in store.studies()]
            except StoreError as error:
                found.append({"store": name, "studies": [], "unreadable": str(error)})
                continue
            own = [one | {"address": f"/{quote(name, safe='')}/{quote(one['study'], safe='')}/"} for one in studies]
            found.append({"store": name, "studies": own, "unreadable": ""})
        return found

    def _page(self, name: str, study: str, path: Path) -> Answered:
        """A study's page, made anew where its store has changed since."""
        with self._lock:
            stamp = _stamp(path)
            kept = self._pages.get((name, study))
            if kept is None or kept[0] != stamp:
                with _opened(path) as store:
                    dossier = read(store, study, axes=AXES, rankings=True)
                text = to_html(dossier, figures_of(dossier), tables(dossier), live=True)
                self._pages[name, study] = kept = stamp, text
        return Answered(kept[1])


def progress(store: ResultStore, study: str) -> dict[str, Any]:
    """How far a study is: runs planned, done, failed and missing, the last failures, and when the last run ended.

    Raises:
        StoreError: there is no such study.
    """
    declared = store.history(study).whole
    planned = {entry["run_id"] for entry in declared.declared.get("planned", [])}
    runs = [run for run in store.runs(study, recordings=False) if not planned or run.run_id in planned]
    failed = [run for run in runs if not run.judged]
    return {
        "study": declared.name, "planned": len(planned) or len(runs), "done": sum(run.judged for run in runs),
        "failed": len(failed), "missing": max(0, len(planned) - len(runs)),
        "waiting": len(store.waiting(study)) if planned else 0,
        "last": max((run.finished for run in runs), default=""),
        "failures": [_told(run) for run in failed[-RECENT:][::-1]],
    }  # fmt: skip


def _told(run: RunRecord) -> dict[str, str]:
    return {"id": run.run_id, "who": f"{run.strategy} on {run.problem}, seed {run.replicate}",
            "message": printable(run.failure)[:200]}  # fmt: skip


def _one_run(store: ResultStore, study: str, run_id: str) -> dict[str, Any]:
    run = store.run(run_id)
    if run.study != study:
        raise StoreError(f"no run `{run_id}` of study `{study}`.")
    spec = store.history(study).whole.declared
    errors = [r.test_error for r in store.runs(study, recordings=False) if r.problem == run.problem and r.judged]
    return {"detail": detail(run, metric_of(spec, run.problem, errors)), "cells": cells([run])}


def _stamp(path: Path) -> str:
    """Changes with every commit into a store: the file, or the log that commits go into first, which readers leave
    empty."""
    places = (path, path.with_name(f"{path.name}-wal"))
    known = [at.stat() for at in places if at.exists()]
    return " ".join(f"{at.st_mtime_ns}:{at.st_size}" for at in known if at.st_size)


def _is_store(path: Path) -> bool:
    try:
        return Location.parse(path).exists(APPLICATION_ID)
    except StoreError:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[ResultStore]:
    with open_store(path) as store:
        yield store


def _as_json(value: Any) -> Answered:
    return Answered(json.dumps(value, ensure_ascii=False, allow_nan=False), "application/json; charset=utf-8")


def _missing(why: str) -> Answered:
    return Answered(f"{why}\n", "text/plain; charset=utf-8", HTTPStatus.NOT_FOUND)


class Handler(BaseHTTPRequestHandler):
    """Answers what is read, and only to this machine."""

    server_version = "searchbench"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, shelf: Shelf, *arguments: Any) -> None:
        self.shelf = shelf
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._send(body=True)

    def do_HEAD(self) -> None:
        self._send(body=False)

    def _send(self, *, body: bool) -> None:
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in HOSTS:
            answer = Answered("this server answers to localhost only\n", "text/plain", HTTPStatus.FORBIDDEN)
        else:
            answer = self.shelf.answer(self.path)
        data = answer.text.encode("utf-8", "backslashreplace")
        self.send_response(answer.status)
        for name, value in (HEADERS | {"Content-Type": answer.kind, "Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a terminal is no place for a line per request."""


def serving(where: str | Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of a store or of a folder of stores on 127.0.0.1, bound and not yet running; port 0 takes a free one.

    Raises:
        InputError: there is nothing to serve, or the port is taken.
    """
    handler: Callable[..., Handler] = partial(Handler, Shelf(Path(where)))
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), handler)
    except OSError as error:
        raise InputError(f"port {port} cannot be listened on: {error.strerror or error}; take another.") from error
    server.daemon_threads = True
    return server
