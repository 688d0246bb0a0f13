"""A driver whose cluster, or own node of it, has gone says so and ends; it does not lose one run after another."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
import ray
from ray.exceptions import LocalRayletDiedError

from searchbench.errors import ClusterGone, InputError
from searchbench.harness.executors import on_ray
from searchbench.harness.executors.on_ray import RayExecutor


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def joined(server: socket.socket) -> RayExecutor:
    """An executor that has joined whoever listens there, and waits for one batch."""
    executor = RayExecutor.__new__(RayExecutor)
    executor._address = "{}:{}".format(*server.getsockname())
    executor._asked = executor._answered = time.monotonic() - 1000
    executor._running = {"a reference": 1}
    return executor


def test_a_cluster_that_does_not_answer_for_long_ends_the_study(listening: socket.socket) -> None:
    executor = joined(listening)
    executor._check_cluster(quiet=True)
    assert time.monotonic() - executor._answered < 60
    executor._asked = executor._answered = time.monotonic() - 1000
    listening.close()
    executor._check_cluster(quiet=False)  # what comes back is as good as an answer
    executor._asked = executor._answered = time.monotonic() - 1000
    with pytest.raises(ClusterGone, match=r"has not answered for 50 s; .* Complete the study, .* `resume=True`"):
        executor._check_cluster(quiet=True)


def test_the_loss_of_the_drivers_own_node_is_not_the_loss_of_its_runs(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(reference: object) -> None:
        raise LocalRayletDiedError

    monkeypatch.setattr(on_ray.ray, "get", died)
    with pytest.raises(ClusterGone, match="this driver's own node of the Ray cluster has gone"):
        joined(listening)._collect("a reference")
    assert issubclass(LocalRayletDiedError, ray.exceptions.RayError)


def test_a_cluster_that_is_not_there_is_told_at_once_with_the_way_out(listening: socket.socket) -> None:
    address = "{}:{}".format(*listening.getsockname())
    listening.close()
    began = time.monotonic()
    with pytest.raises(InputError, match=r"no Ray cluster at `.*`: nothing listens there .* a local Ray starts"):
        RayExecutor(address=address)
    assert time.monotonic() - began < 10


def test_who_waits_for_a_cluster_is_told_what_runs_without_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "SLOW_S", 0.01)
    with on_ray._told_if_slow("the Ray cluster at head:1", "without an address a local Ray starts"):
        time.sleep(0.1)
    told = capsys.readouterr().err.splitlines()[0]
    assert told.startswith("waiting for the Ray cluster at head:1 (0 s so far")
    assert told.endswith("without an address a local Ray starts")
