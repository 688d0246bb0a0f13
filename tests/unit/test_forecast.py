"""What a study will take is said before it begins."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from rich.console import Console

import searchbench as sb
from searchbench.harness.declared.plan import plan
from searchbench.harness.driving.forecast import Forecast, duration, forecast, seconds_of_run
from searchbench.harness.driving.progress import LiveProgress
from searchbench.harness.running.run import run_judge, run_search

SMALL = sb.Use("nasbench201", channels=8, cells=1, stages=1)


def trained(**budget: float) -> sb.Study:
    problem = sb.Problem(SMALL, "digits", sb.Use("train", epochs=2), sb.Use("train", epochs=4))
    return sb.Study("forecast", problem, ["random"], seeds=2, budget=sb.Budget(**budget))


def test_training_is_foreseen_in_its_order_of_magnitude() -> None:
    (spec, _) = plan(trained(evaluations=6)).runs
    started = time.process_time()
    found = run_search(spec)
    run_judge(spec, found.architecture or "")
    took = time.process_time() - started
    said = seconds_of_run(spec)
    assert said is not None
    assert took / 8 < said < took * 8


def test_budget_twice_as_large_takes_about_twice_as_long_on_every_axis() -> None:
    for axis, amount in (("macs", 1e10), ("evaluations", 40), ("epochs", 80)):
        said = [seconds_of_run(plan(trained(**{axis: n})).runs[0]) for n in (amount, 4 * amount)]
        assert said[0] is not None
        assert said[1] is not None
        assert 1.5 < said[1] / said[0] < 8, axis


def test_what_other_threads_do_meanwhile_is_not_taken_for_the_step() -> None:
    (spec, _) = plan(trained(evaluations=6)).runs
    before, quiet = torch.get_num_threads(), seconds_of_run(spec)
    stop = threading.Event()

    def work() -> None:
        a = np.ones((300, 300))
        while not stop.is_set():
            a @ a

    others = [threading.Thread(target=work) for _ in range(4)]
    for other in others:
        other.start()
    try:
        busy = seconds_of_run(spec)
    finally:
        stop.set()
        for other in others:
            other.join()
    assert quiet is not None
    assert busy is not None
    assert busy < 4 * quiet
    assert torch.get_num_threads() == before


def test_look_ups_promise_no_time() -> None:
    study = sb.Study(
        "f", sb.Problem("nasbench201", "digits", "table"), ["random"], seeds=3, budget=sb.Budget(evaluations=5)
    )
    found = forecast(plan(study).runs, 2)
    assert (found.searches, found.seconds) == (3, None)
    assert "known when the first have come back" in str(found)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (40, "40 s"), (180, "3 min"), (7200, "2.0 h"), (72_000, "20 h")]
)
def test_durations_have_one_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_forecast_is_printed_before_the_first_run() -> None:
    console = Console(record=True, width=120)
    with LiveProgress(console, workers=0) as progress:
        progress.planned(plan(trained(evaluations=6)), 0)
    assert "2 searches and 2 judgements, about" in console.export_text()
    assert str(Forecast(27, 170.0, 2)) == "27 searches and 27 judgements, about 3 min on 2 workers."
