"""Latencies out of tables and by the clock; what a table lacks is named."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from searchbench.errors import EvaluationFailed, StudyError, TableError
from searchbench.estimators.latency import ArchitectureTable, BlockTable, Measured
from searchbench.estimators.stopwatch import (
    TimedPasses,
    Timing,
    indistinct,
    interleaved_ms,
    measure_blocks,
    measure_until_repeatable,
)
from searchbench.spaces import SPACES
from searchbench.spaces.chains.mobile import mobile_fairnas, mobile_proxyless
from searchbench.spaces.choices import Choice
from searchbench.spaces.graphs.randwire import randwire
from searchbench.spaces.layers.networks import ChainNetworks
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.tables.table import Join

DATA = Path(os.environ.get("SEARCHBENCH_DATA", "/nowhere")) / "tables"
public = pytest.mark.skipif(not DATA.is_dir(), reason="needs SEARCHBENCH_DATA, the folder of public tables")
SMALL = {"stem": 4, "first": 4, "channels": (4, 6), "layers": (2, 1), "strides": (1, 2), "last": 8, "stem_stride": 1}
SHAPE, CLASSES = (1, 8, 8), 10
BLOCKS = ("k3e3", "k3e6", "k5e3", "k5e6", "k7e3", "k7e6")


def written(path: Path, rows: dict[str, float]) -> str:
    path.write_text("block,latency_ms\n" + "".join(f"{name},{ms}\n" for name, ms in rows.items()))
    return str(path)


def rows() -> dict[str, float]:
    """1 ms for what is fixed, and 10 layer + option for the rest."""
    return {"fixed": 1.0} | {f"layer {la}={b}": 10.0 * la + at for la in (1, 2, 3) for at, b in enumerate(BLOCKS)}


@pytest.mark.parametrize("zero", [True, False])
def test_latency_is_the_sum_of_its_blocks_and_leaving_one_out_takes_no_time(tmp_path: Path, zero: bool) -> None:
    space = mobile_proxyless(zero=zero, **SMALL)  # type: ignore[arg-type]
    latency = BlockTable(written(tmp_path / "t.csv", rows())).open(space, SHAPE, CLASSES)
    assert latency(space.architecture(("k3e3", "k3e6", "k7e6"))) == 1 + 10 + 21 + 35
    if zero:
        assert latency(space.architecture(("zero", "k3e6", "k7e6"))) == 1 + 21 + 35


def test_a_missing_block_is_named(tmp_path: Path) -> None:
    known = rows()
    del known["layer 2=k5e6"], known["layer 3=k3e3"]
    with pytest.raises(TableError, match=r"lacks the block `layer 2=k5e6` \(and 1 more\) of space `mobile-fairnas`"):
        BlockTable(written(tmp_path / "t.csv", known)).open(mobile_fairnas(**SMALL), SHAPE, CLASSES)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "ms", "says"), [("layer 1=k3e3", -1.0, "negative"), ("other", float("nan"), "nan")])
def test_an_impossible_latency_is_refused_with_its_row(tmp_path: Path, name: str, ms: float, says: str) -> None:
    with pytest.raises(TableError, match=f"row .*{says}"):
        BlockTable(written(tmp_path / "t.csv", rows() | {name: ms})).open(mobile_fairnas(**SMALL), SHAPE, CLASSES)  # type: ignore[arg-type]


def test_latencies_of_blocks_do_not_add_up_in_randomly_wired_networks(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="a choice of one"):
        BlockTable(written(tmp_path / "t.csv", rows())).open(randwire(), SHAPE, CLASSES)
    with pytest.raises(StudyError, match="only MobileNet-like"):
        BlockTable(written(tmp_path / "t.csv", rows()), names="shapes").open(nasbench201(), SHAPE, CLASSES)
    with pytest.raises(StudyError, match="names"):
        BlockTable("t.csv", names="colours")


@public
def test_the_pixel_table_knows_every_block_of_the_search_space() -> None:
    """The published mobile net was found below 80 ms on this phone: the sum of its blocks must be of that size."""
    table = BlockTable(str(DATA / "proxylessnas_pixel_lut.csv.gz"), "key", "mean", "shapes", (3, 224, 224), 1000)
    space = mobile_proxyless()
    latency = table.open(space, SHAPE, CLASSES)
    least = space.architecture(tuple("zero" if d.arity == 7 else "k3e3" for d in space.decisions))
    expected = 4.397037934668071 + 4.035709677419355 + 6.28499578503688 + 0.9348261327713382  # what is fixed
    expected += 5.608820512820512 + 2.5136643835616437 + 1.3473525179856116 + 1.8538  # first blocks of the stages
    expected += 1.8193141025641024 + 3.912773006134969
    assert latency(least) == pytest.approx(expected, abs=1e-3)
    with pytest.raises(TableError, match="lacks the block `Conv-input:224x224x3-output:112x112x40`"):
        table.open(mobile_proxyless(stem=40), SHAPE, CLASSES)


@public
def test_latencies_of_whole_cells_on_a_device_are_joined_by_their_index() -> None:
    table = ArchitectureTable(
        str(DATA / "help_latency_nasbench201.csv.gz"),
        "pixel3",
        "arch_str",
        Join(str(DATA / "nasbench201.csv.gz"), "arch_index"),
    )
    space = nasbench201()
    latency = table.open(space, SHAPE, CLASSES)
    found = np.array([latency(a) for a in space.enumerate()])
    assert len(found) == 15_625
    assert found.min() > 0
    empty = latency(space.architecture(("none",) * 6))
    assert empty < np.quantile(found, 0.05)
    assert latency(space.architecture(("nor_conv_3x3",) * 6)) > np.quantile(found, 0.95)


def test_an_architecture_without_latency_is_a_failed_evaluation(tmp_path: Path) -> None:
    space = mobile_fairnas(**SMALL)  # type: ignore[arg-type]
    known = space.architecture(("k3e3",) * 3)
    path = tmp_path / "t.csv"
    path.write_text(f'architecture,ms\n"{known}",2.5\n')
    latency = ArchitectureTable(str(path), "ms").open(space, SHAPE, CLASSES)
    assert latency(known) == 2.5
    with pytest.raises(EvaluationFailed, match="no latency of"):
        latency(space.architecture(("k7e6",) * 3))


def test_a_measured_network_takes_time_and_is_measured_once() -> None:
    space = mobile_fairnas(**SMALL)  # type: ignore[arg-type]
    spec = Measured(warmup=1, repeats=3)
    latency = spec.open(space, SHAPE, CLASSES)
    architecture = space.architecture(("k3e3",) * 3)
    assert not spec.deterministic
    assert latency(architecture) > 0
    assert latency(architecture) == latency(architecture)
    with pytest.raises(StudyError, match="repeats"):
        Measured(repeats=0)


@pytest.mark.parametrize("name", ["mobile-proxyless", "mobile-fairnas"])
def test_a_table_measured_block_by_block_serves_its_space(tmp_path: Path, name: str) -> None:
    space = SPACES.factory(name)(**SMALL)
    measured = measure_blocks(space, SHAPE, CLASSES, Measured(warmup=0, repeats=1))
    latency = BlockTable(written(tmp_path / "t.csv", {name: t.ms for name, t in measured.items()})).open(
        space, SHAPE, CLASSES
    )
    picked = space.architecture(("k3e3", "k5e3", "k7e6"))
    parts = ("fixed", "layer 1=k3e3", "layer 2=k5e3", "layer 3=k7e6")
    assert latency(picked) == pytest.approx(sum(measured[part].ms for part in parts), rel=1e-3)
    assert measured["layer 2=k3e3"].ms > 0


def test_only_chains_are_measured_block_by_block() -> None:
    with pytest.raises(StudyError, match="no chain of layers"):
        measure_blocks(nasbench201(), SHAPE, CLASSES, Measured())


def test_a_table_is_measured_and_checked_by_commands(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from searchbench.cli.entry import cli

    table, study, drawn = tmp_path / "blocks.csv", tmp_path / "study.toml", tmp_path / "check.svg"
    space = "stem = 4, first = 4, channels = [4, 6], layers = [2, 1], strides = [2, 2], last = 8, stem_stride = 1"
    study.write_text(
        'name = "timed"\nseeds = 1\nbudget = { evaluations = 2 }\n[[problems]]\n'
        f'space = {{ use = "mobile-fairnas", {space} }}\ntask = "digits"\nestimator = "train"\n'
        f'latency = {{ use = "block-table", path = "{table}" }}\n[[strategies]]\nuse = "random"\n'
    )
    built = CliRunner().invoke(cli, ["latency", "build", str(study), "--out", str(table), "--repeats", "1"])
    assert built.exit_code == 0, built.output
    assert "19 blocks of mobile-fairnas" in built.output
    arguments = ["latency", "check", str(study), "--networks", "3", "--repeats", "1", "--out", str(drawn)]
    checked = CliRunner().invoke(cli, arguments)
    assert checked.exit_code == 0, checked.output
    assert "RMSE" in checked.output
    assert drawn.read_text().startswith("<svg")


TINY = {"stem": 4, "channels": (4, 6), "layers": (2, 1), "strides": (1, 2), "last": 8}
CHAINS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("mobile-proxyless", "mobile-fairnas", "mobile-scarlet"), SMALL),
    **{name: {} for name in ("shuffle", "fbnet", "mobile-superkernel", "macro")},
    "mixnet": {**TINY, "first": 6, "channels": (12, 12), "squeezes": (0.0, 0.5)},
    "mixpath": {**TINY, "stem": 8, "channels": (8, 8)},
}
"""Spaces that are chains of layers, each a choice of one."""


@pytest.mark.parametrize("name", CHAINS)
def test_options_of_a_layer_are_measured_apart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "searchbench.estimators.stopwatch.interleaved_ms",
        lambda timed, settings: [[float(number)] for number, _ in enumerate(timed)],
    )
    space = SPACES.factory(name)(**CHAINS[name])
    found = measure_blocks(space, (3, 32, 32), 10, Measured(warmup=0, repeats=1))
    layers: dict[str, list[float]] = {}
    for block, ms in found.items():
        layers.setdefault(block.partition("=")[0], []).append(ms.ms)
    options = [own for layer, own in layers.items() if layer != "fixed"]
    assert options
    assert all(len(set(own)) == len(own) > 1 for own in options)


def test_every_chain_of_choices_is_among_those_that_are_measured() -> None:
    def measurable(name: str) -> bool:
        if name in ("hyperparameters", "schedules"):  # declared where they are used, and never networks
            return False
        space = SPACES.factory(name)()
        chain = space.networks is not None and isinstance(space.builder(), ChainNetworks)
        return chain and not space.conditional and all(isinstance(d, Choice) for d in space.decisions)

    assert {name for name in SPACES.names() if measurable(name)} == set(CHAINS)


def test_rounds_are_interleaved_and_those_of_the_warm_up_are_not_counted() -> None:
    ran: list[str] = []

    class Named(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            ran.append(self.name)
            return inputs

    passes = interleaved_ms([(Named("a"), torch.zeros(1)), (Named("b"), torch.zeros(1))], Measured(warmup=1, repeats=3))
    assert "".join(ran) == "abababab"
    assert [len(own) for own in passes] == [3, 3]


def test_options_that_differ_by_less_than_their_passes_are_named() -> None:
    def layer(number: int, spread: float, **ms: float) -> dict[str, Timing]:
        return {f"layer {number}={name}": Timing(one, spread, 25) for name, one in ms.items()}

    far = layer(1, 0.1, k3=1.0, k5=2.0)
    near = layer(2, 0.5, k3=1.0, k5=1.2)
    some = layer(3, 0.5, k5=1.1, xception=9.0, k3=1.0, k7=1.3)  # that one is far off tells nothing of the others
    first, second = indistinct({"fixed": Timing(5.0, 9.0, 25), **far, **near, **some})
    assert first == "layer 2: k3 and k5 differ by 0.2000 ms, one option's passes by 0.5000 ms"
    assert second.startswith("layer 3: k3 and k5 differ by 0.1000 ms, one option's passes by 0.5000 ms, 1 more pairs")
    assert Timing(1.0, 3.0, 9) + Timing(2.0, 4.0, 8) == Timing(3.0, 5.0, 8)


def test_measurements_say_whether_they_order_networks_alike_again() -> None:
    steady = TimedPasses([[1.0, 1.1, 1.0, 1.1], [2.0, 2.1, 2.0, 2.1], [3.0, 3.1, 3.0, 3.1]])
    assert steady.repeatability == pytest.approx(1.0)
    assert steady.variation < 0.06
    assert TimedPasses([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]).repeatability == pytest.approx(-1.0)
    assert math.isnan(TimedPasses([[1.0], [2.0]]).repeatability)


def test_rounds_and_batches_rise_until_networks_are_ordered_alike_again() -> None:
    noisy, steady = TimedPasses([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]), TimedPasses([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    attempts = [Measured(1, repeats=2), Measured(1, repeats=4), Measured(8, repeats=4)]
    tried: list[Measured] = []

    def measure(settings: Measured) -> TimedPasses:
        tried.append(settings)
        return steady if settings.repeats == 4 else noisy

    assert measure_until_repeatable(measure, attempts, 0.5) == (steady, attempts[1])
    assert tried == attempts[:2]
    assert measure_until_repeatable(lambda _: noisy, attempts, 0.5) == (noisy, attempts[2])
