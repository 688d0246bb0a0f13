"""What is measured: words and digits."""

from __future__ import annotations

import pytest

from searchbench.errors import StudyError
from searchbench.metric import Metric


def test_only_a_share_is_shown_in_percent() -> None:
    loss, rate = Metric("validation MSE"), Metric(share=True)
    assert (loss.scale, loss.heading, loss.difference_unit) == (1.0, "validation MSE", "")
    assert (rate.scale, rate.heading, rate.difference_unit) == (100.0, "test error (%)", "percentage points")
    assert Metric("latency", "ms").heading == "latency (ms)"


def test_of_a_metric_of_which_more_is_better_the_negative_is_recorded() -> None:
    accuracy = Metric("accuracy", better="higher", share=True)
    assert accuracy.factor * -0.93 == 93.0
    assert accuracy.arrow == "↑"


@pytest.mark.parametrize(
    ("mean", "std", "share", "shown"),
    [
        (6.123, 0.31, True, "6.12 ± 0.31"),
        (0.0012, 0.0003, True, "0.00120 ± 0.00030"),
        (0.2723, 0.012, False, "0.2723 ± 0.0120"),
        (0.27234, 1.2e-7, False, "0.27234000 ± 0.00000012"),
        (2.7e-9, 1e-10, False, "(2.700 ± 0.100)e-09"),
        (123456.7, 1200.0, False, "123457 ± 1200"),
        (98.1, 0.0, True, "98.10 ± 0.00"),
        (0.27, float("nan"), False, "0.27"),
    ],
)
def test_digits_follow_the_spread(mean: float, std: float, share: bool, shown: str) -> None:
    assert Metric(share=share).spread(mean, std) == shown


def test_a_small_number_is_not_written_as_nothing() -> None:
    assert Metric(share=True).number(0.0021) == "0.0021"
    assert Metric().number(2.7e-9) == "2.7e-09"


def test_a_metric_comes_from_a_name_or_a_table() -> None:
    assert Metric.of("loss") == Metric("loss")
    assert Metric.of({"name": "R²", "better": "higher"}) == Metric("R²", better="higher")
    with pytest.raises(StudyError, match="no key `direction`"):
        Metric.of({"direction": "up"})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": " "}, "not empty"),
        ({"better": "up"}, '"lower" or "higher"'),
        ({"share": True, "unit": "ms"}, "a share is shown in percent"),
    ],
)
def test_an_impossible_metric_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        Metric.of(wrong)


@pytest.mark.parametrize(("name", "said"), [("accuracy", "an accuracy"), ("test error", "a test error")])
def test_metric_has_its_article(name: str, said: str) -> None:
    assert Metric(name).with_article == said
