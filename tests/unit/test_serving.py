"""Served pages: what stands in stores, live, and nothing else of this machine."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import BROKEN, a_run, a_store

from searchbench.errors import InputError
from searchbench.reports.serving import LOOPBACK, Shelf, serving
from searchbench.results.store import open_store

SECRET = "nobody reads this"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.txt").write_text(SECRET)
    a_store(outside / "elsewhere.db", seeds=2, trials=2)
    inside = outside / "stores"
    (inside / "deeper").mkdir(parents=True)
    a_store(inside / "a.db", seeds=4, trials=3, missing=7)
    a_store(inside / "deeper" / "b c.db", seeds=2, trials=2)
    (inside / "no store.db").write_text(SECRET)
    (inside / "notes.txt").write_text(SECRET)
    os.symlink(outside / "elsewhere.db", inside / "link.db")
    return inside


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with serving(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port: int, target: str, method: str = "GET", host: str = "localhost") -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
    connection.putrequest(method, target, skip_host=True)
    connection.putheader("Host", f"{host}:{port}")
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), dict(answer.getheaders())
    connection.close()
    return found


def test_the_first_page_lists_stores_and_how_far_their_studies_are(port: int) -> None:
    status, text, _ = ask(port, "/")
    assert status == 200
    assert "a.db" in text
    assert 'href="/deeper%2Fb%20c.db/recorded/"' in text
    assert "no store.db" not in text
    assert "link.db" not in text  # it leads out of the folder


def test_a_study_has_the_reports_page_which_may_ask_this_server_alone(port: int, folder: Path) -> None:
    status, text, headers = ask(port, "/a.db/recorded/")
    assert status == 200
    assert 'data-live="yes"' in text
    assert "Nothing is ranked" in text  # runs are missing
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert ask(port, "/deeper%2Fb%20c.db/recorded/")[0] == 200


def test_progress_tells_counts_and_the_last_failures_and_follows_the_store(tmp_path: Path) -> None:
    path = a_store(tmp_path / "r.db", seeds=3, trials=2, missing=2)
    shelf = Shelf(path)
    first = json.loads(shelf.answer("/r.db/recorded/progress").text)
    assert (first["planned"], first["done"], first["failed"], first["missing"]) == (21, 17, 2, 2)
    assert first["failures"][0]["who"] == f"{BROKEN} on cells, seed 1"
    assert first["failures"][0]["message"].startswith("ValueError: </pre>")
    assert (
        json.loads(shelf.answer("/r.db/recorded/progress").text)["stamp"] == first["stamp"]
    )  # reading changes nothing
    before = shelf.answer("/r.db/recorded/").text
    with open_store(path, write=True) as store:
        planned = store.study("recorded").declared["planned"]
        store.add_run(a_run(planned[19], 5, 2))
    after = json.loads(shelf.answer("/r.db/recorded/progress").text)
    assert after["done"] == 18
    assert after["stamp"] != first["stamp"]
    assert shelf.answer("/r.db/recorded/").text != before


def test_a_run_is_told_whole_on_request(port: int) -> None:
    status, text, _ = ask(port, "/a.db/recorded/run?id=0%2F1")
    found = json.loads(text)
    assert status == 200
    assert found["detail"]["trials"]["of"] == 3
    assert ask(port, "/a.db/recorded/run?id=nope")[0] == 404


@pytest.mark.parametrize(
    "target",
    [
        "/../secret.txt", "/a.db/../../secret.txt", "/%2e%2e/secret.txt/", "/%2e%2e%2fsecret.txt/recorded/",
        "/..%2felsewhere.db/recorded/", "/link.db/recorded/", "/notes.txt", "/no%20store.db/recorded/", "//etc/passwd",
        "/a.db/recorded/../../notes.txt", "/a.db/..%2f..%2fsecret.txt/progress",
        "/a.db/recorded/run?id=../../secret.txt",
        "/%00/recorded/", "/a.db/%00/", "http://example.org/a", "/deeper/../a.db/recorded/", "/a.db%00.txt/recorded/",
        "file:///etc/passwd", "/stores/a.db/recorded/", "/....//....//secret.txt", "\\..\\secret.txt",
    ],
)  # fmt: skip
def test_no_address_leaves_the_folder(port: int, target: str) -> None:
    status, text, _ = ask(port, target)
    assert status in (400, 404)
    assert SECRET not in text
    assert "root:" not in text


def test_it_only_reads_and_only_for_this_machine(port: int, folder: Path) -> None:
    before = (folder / "a.db").read_bytes()
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        assert ask(port, "/a.db/recorded/", method)[0] == 501
    for host in ("example.org", "localhost.example.org", "127.0.0.1.example.org", ""):
        assert ask(port, "/", host=host)[0] == 403  # a name made to point here reads nothing
    assert ask(port, "/", host="[::1]")[0] == 200
    assert ask(port, "/", "HEAD")[1] == ""
    assert (folder / "a.db").read_bytes() == before


def test_what_cannot_be_served_is_one_clear_message(tmp_path: Path, port: int) -> None:
    with pytest.raises(InputError, match="there is no store or folder"):
        serving(tmp_path / "none")
    (tmp_path / "text.db").write_text("text")
    with pytest.raises(InputError, match="is no store"):
        serving(tmp_path / "text.db")
    with pytest.raises(InputError, match="cannot be listened on"):
        serving(tmp_path, port)


def test_a_damaged_store_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    a_store(tmp_path / "good.db", seeds=2, trials=2)
    whole = a_store(tmp_path / "bad.db", seeds=2, trials=2).read_bytes()
    (tmp_path / "bad.db").write_bytes(whole[:100] + b"x" * (len(whole) - 100))
    text = Shelf(tmp_path).answer("/").text
    assert "bad.db" in text
    assert "/good.db/recorded/" in text
