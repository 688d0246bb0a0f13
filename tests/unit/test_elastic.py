"""Layers whose options are cut from one weight: once-for-all's and Single-Path NAS's, in their spaces and searches."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_training import digits
from torch import nn

from searchbench import Budget, Problem, Study, Use
from searchbench.errors import SpaceError
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.run import run_search
from searchbench.seeds import Seeds
from searchbench.spaces.chains.elastic import mobile_ofa, mobile_superkernel
from searchbench.spaces.layers.elastic import ElasticInverted, elastic, gated
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import Mixed, count, initialise
from searchbench.strategies.oneshot.engine import Weights
from searchbench.strategies.oneshot.papers import once_for_all
from searchbench.strategies.oneshot.shrinking import ProgressiveShrinking
from searchbench.strategies.oneshot.superkernels import single_path
from searchbench.strategies.oneshot.teaching import KeptTeacher
from searchbench.strategies.strategy import Scenario
from searchbench.tasks.task import Batch

DIGITS = (1, 8, 8), 10
SIZES = {"stem": 8, "first": 8, "channels": (8, 16), "strides": (1, 2), "last": 16, "stem_stride": 1}
OFA = mobile_ofa(depths=(1, 2, 3), **SIZES)
SUPERKERNEL = mobile_superkernel(layers=(2, 2), **SIZES)
CUTS = tuple((kernel, expansion) for kernel in (3, 5, 7) for expansion in (3, 4, 6))


def layer(affine: bool = True) -> ElasticInverted:
    with torch.device("meta"):
        made = ElasticInverted(4, 6, 1, CUTS, nn.ReLU6, affine=affine, eps=1e-5, transforms=True)
    return initialise(made, 0)  # type: ignore[return-value]


def shaken(module: nn.Module, seed: int = 3) -> nn.Module:
    """The module with parameters and statistics that no two channels share."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]:
            tensor.add_(0.1 * torch.rand(tensor.shape, generator=generator))
    return module


def test_a_kernel_is_made_of_the_middle_of_the_next_larger_one_by_its_matrix() -> None:
    """As written out: K5 = M5 vec(K7[1:6, 1:6]), K3 = M3 vec(K5[1:4, 1:4]), one matrix for all channels."""
    made = layer()
    largest = made.depthwise.weight
    assert torch.equal(made.kernel(5, 24), largest[:, :, 1:6, 1:6])  # begins as the plain middle
    shaken(made)
    five, three = (made.transforms[str(side)].matrix.detach() for side in (5, 3))  # type: ignore[union-attr]
    for channel in range(12):
        middle = (five @ largest[channel, 0, 1:6, 1:6].reshape(25)).reshape(5, 5)
        inner = (three @ middle[1:4, 1:4].reshape(9)).reshape(3, 3)
        torch.testing.assert_close(made.kernel(5, 12)[channel, 0], middle)
        torch.testing.assert_close(made.kernel(3, 12)[channel, 0], inner)
    assert made.kernel(7, 12) is not None
    assert torch.equal(made.kernel(7, 12), largest[:12])


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("space", [OFA, SUPERKERNEL], ids=lambda s: s.name)
def test_a_path_computes_what_the_network_with_the_weights_cut_for_it_computes(space: Any, training: bool) -> None:
    builder, rng = space.builder(), np.random.default_rng(1)
    supernet: Any = shaken(initialise(builder.supernet(*DIGITS), 1)).train(training)
    inputs, _ = digits(8)
    for _ in range(6):
        architecture = space.sample(rng)
        alone = initialise(builder.network(architecture, *DIGITS), 2).train(training)
        alone.stem.load_state_dict(supernet.stem.state_dict(), strict=False)  # type: ignore[union-attr]
        alone.head.load_state_dict(supernet.head.state_dict(), strict=False)  # type: ignore[union-attr]
        chosen = supernet.executed(supernet.path(architecture))
        for one, shared, option in zip(alone.layers, supernet.layers, chosen, strict=True):  # type: ignore[arg-type]
            for block in one.options.values():
                cut_for(block, shared.whole, option)
        torch.testing.assert_close(supernet(inputs, supernet.path(architecture)), alone(inputs))


def cut_for(block: Any, whole: ElasticInverted, option: int) -> None:
    side, expansion = whole.cuts[option]
    width = whole.inputs * expansion
    pairs = (
        (block[0], whole.expand.weight[:width], whole.expand_norm),
        (block[1], whole.kernel(side, width), whole.depthwise_norm),
        (block[2], whole.project.weight[:, :width], whole.project_norm),
    )
    with torch.no_grad():
        for part, weight, norm in pairs:
            conv, own = part[0], part[1]
            conv.weight.copy_(weight)
            for name in ("weight", "bias", "running_mean", "running_var"):
                if getattr(own, name) is not None and getattr(norm, name) is not None:
                    getattr(own, name).copy_(getattr(norm, name)[: len(getattr(own, name))])


def test_sorting_channels_leaves_the_widest_block_as_it_is_and_puts_the_best_read_first() -> None:
    made: Any = shaken(layer()).eval()
    inputs = torch.randn(3, 4, 6, 6)
    before = made(inputs, len(CUTS) - 1)
    made.sort(0)
    torch.testing.assert_close(made(inputs, len(CUTS) - 1), before)
    read = made.project.weight.abs().sum((0, 2, 3))
    assert torch.equal(read, read.sort(descending=True).values)
    shaken(made, seed=5)
    before = made(inputs, len(CUTS) - 1)
    beyond = {row.numpy().tobytes() for row in made.expand.weight.detach()[16:]}
    made.sort(1)  # what expansion 6 has beyond 4 stays beyond
    torch.testing.assert_close(made(inputs, len(CUTS) - 1), before)
    assert {row.numpy().tobytes() for row in made.expand.weight.detach()[16:]} == beyond
    read = made.project.weight.abs().sum((0, 2, 3))
    for band in (read[:16], read[16:]):
        assert torch.equal(band, band.sort(descending=True).values)


def test_the_spaces_have_as_many_points_as_published() -> None:
    assert mobile_ofa().size == (9**2 + 9**3 + 9**4) ** 5  # 2e19 (Cai et al. 2020, section 3.1)
    assert mobile_superkernel().size == 4**6 * 5**15


def test_sizes_of_elastic_networks_are_what_they_run() -> None:
    rng = np.random.default_rng(0)
    for space in (OFA, SUPERKERNEL):
        builder, supernet = space.builder(), space.builder().supernet(*DIGITS)
        for _ in range(4):
            architecture = space.sample(rng)
            assert space.parse(str(architecture)) == architecture
            assert supernet.architecture(supernet.path(architecture)) == architecture
            size = builder.size(architecture, *DIGITS)
            assert count(builder.network(architecture, *DIGITS), DIGITS[0]) == size
            assert supernet.macs(supernet.path(architecture)) == size[1]


def test_an_elastic_stage_without_its_last_layers_is_its_first_ones() -> None:
    supernet: Any = shaken(initialise(OFA.builder().supernet(*DIGITS), 1)).eval()
    short, long = (OFA.parse(text) for text in ("k3e3 k5e4|k7e6", "k3e3 k5e4 k3e6|k7e6"))
    *begun, third = supernet.executed(supernet.path(short))[:3]
    assert begun == list(supernet.executed(supernet.path(long))[:2])
    value = torch.randn(2, 8, 4, 4)
    assert torch.equal(supernet.layers[2].one(value, third), value)
    with pytest.raises(SpaceError, match="one path at a time"):
        supernet(digits(2)[0], Mixed([]))


# -- progressive shrinking -----------------------------------------------------------------------------------------


def test_shrinking_opens_kernels_then_depths_then_widths_for_as_long_as_in_the_released_code() -> None:
    supernet, shrinking = mobile_ofa(**SIZES).builder().supernet(*DIGITS), ProgressiveShrinking()
    phases = shrinking.plan(supernet)
    assert [phase.length for phase in phases] == [180, 120, 25, 120, 25, 120]
    assert [tuple(phase.opened.values()) for phase in phases] == [
        (1, 1, 1),
        (3, 1, 1),
        (3, 2, 1),
        (3, 3, 1),
        (3, 3, 2),
        (3, 3, 3),
    ]
    assert [phase.paths for phase in phases] == [1, 1, 2, 2, 4, 4]
    draw, rng = shrinking.over(supernet), np.random.default_rng(0)
    space, ends = supernet.space, np.cumsum([0, *(phase.length for phase in phases)]) / 590
    for at, phase in enumerate(phases):
        done = (ends[at] + ends[at + 1]) / 2
        assert shrinking.phase(supernet, done) == at
        seen: dict[str, set[Any]] = {"kernel": set(), "depth": set(), "expansion": set()}
        for _ in range(60):
            paths = draw(rng, done)
            assert len(paths) == phase.paths
            for path in paths:
                for decision, option in zip(space.decisions, path, strict=True):  # type: ignore[arg-type]
                    seen[decision.name.split()[0]].add(option)
        assert {name: 3 - min(options) for name, options in seen.items()} == phase.opened
        assert all(max(options) == 2 for options in seen.values())


def test_the_largest_network_becomes_a_teacher_once_and_channels_are_sorted_before_they_are_cut() -> None:
    supernet: Any = initialise(OFA.builder().supernet(*DIGITS), 1)
    settings = once_for_all()
    rng, draw = np.random.default_rng(0), ProgressiveShrinking().over(supernet)
    weights = Weights(supernet, settings.weights, settings.weights.optimizer(supernet.parameters()), draw, rng)
    weights.optimizer.param_groups[0]["lr"] = 0.007
    sampler: Any = settings.sampler
    largest = tuple(options - 1 for options in supernet.options)
    inputs, _ = digits(4)
    supernet.eval()
    before = supernet(inputs, largest)
    weights.reach(sampler, 0)
    assert weights.teacher is None
    weights.reach(sampler, 1)
    teacher: Any = weights.teacher
    with torch.no_grad():
        supernet.layers[0].whole.expand.weight.add_(1.0)
    weights.reach(sampler, 5)
    assert weights.teacher is teacher
    torch.testing.assert_close(teacher(inputs, largest), before)
    assert weights.optimizer.param_groups[0]["lr"] == 0.007
    read = elastic(supernet)[0].project.weight.detach().abs().sum((0, 2, 3))
    for band in (read[:32], read[32:]):
        assert torch.equal(band, band.sort(descending=True).values)
    fresh: Any = initialise(OFA.builder().supernet(*DIGITS), 2).eval()
    again = Weights(fresh, settings.weights, settings.weights.optimizer(fresh.parameters()), draw, rng)
    again.load_state_dict(weights.state_dict())
    assert again.phase == 5
    torch.testing.assert_close(again.teacher(inputs, largest), teacher(inputs, largest))  # type: ignore[misc]


def test_paths_learn_labels_and_what_the_teacher_says() -> None:
    logits, targets, teacher = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1]), torch.randn(5, 3)
    batch = Batch(torch.zeros(5, 1), targets)
    [(_, plain)] = KeptTeacher().lessons([batch], 1)
    assert plain is None
    lessons = list(KeptTeacher(0.5).lessons([batch], 2, teacher))
    assert len(lessons) == 2
    expected = F.cross_entropy(logits, targets) + 0.5 * F.cross_entropy(logits, teacher.softmax(1))
    for _, loss in lessons:
        assert loss is not None
        torch.testing.assert_close(loss(logits, targets), expected)


# -- superkernels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_mixture_of_kernels_with_one_weight_of_one_is_the_path(training: bool) -> None:
    supernet: Any = shaken(initialise(SUPERKERNEL.builder().supernet(*DIGITS), 1)).train(training)
    inputs, _ = digits(4)
    rng = np.random.default_rng(0)
    for _ in range(5):
        path = supernet.path(SUPERKERNEL.sample(rng))
        rows = [F.one_hot(torch.tensor(at), n).float() for at, n in zip(path, supernet.options, strict=True)]
        torch.testing.assert_close(supernet(inputs, Mixed(rows)), supernet(inputs, path))
    largest = max(supernet.macs(path) for path in [(3, 3, 3, 3)])
    assert supernet.macs(Mixed([torch.ones(n) for n in supernet.options])) == largest


def test_gates_and_their_gradients_are_those_of_the_released_superkernel() -> None:
    """Written out for one layer: w = d50 (w50 + d100 w100) of the kernel 3x3 + d5 (5x5 around it)."""
    supernet: Any = initialise(SUPERKERNEL.builder().supernet(*DIGITS), 1)
    made = elastic(supernet)[1]  # may be left out
    weight = made.depthwise.weight.detach().clone().requires_grad_()
    thresholds = torch.tensor([0.3, 0.5, 0.2], requires_grad=True)

    def indicator(x: torch.Tensor) -> torch.Tensor:
        return (x >= 0).float() + (x.sigmoid() - x.sigmoid().detach())

    inner = torch.zeros_like(weight)
    inner[:, :, 1:4, 1:4] = 1
    ring = weight * (1 - inner)
    d5 = indicator(ring.norm() - thresholds[0])
    outside = weight * inner + ring * d5
    half = len(weight) // 2
    w50, w100 = torch.zeros_like(weight), torch.zeros_like(weight)
    w50[:half], w100[half:] = outside[:half], outside[half:]
    d50, d100 = indicator(outside[:half].norm() - thresholds[1]), indicator(outside[half:].norm() - thresholds[2])
    expected = d50 * (w50 + d100 * w100)

    own = thresholds.detach().clone().requires_grad_()
    rows = made.gated(own, skippable=True)
    masks = torch.stack([made._mask(at) for at in range(4)])
    found = made.depthwise.weight * torch.einsum("o,ocij->cij", rows[:4], masks).unsqueeze(1)
    torch.testing.assert_close(found, expected)
    assert rows.detach().round().tolist() == [0, 0, 0, 1, 0]
    probe = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    (expected * probe).sum().backward()
    (found * probe).sum().backward()
    torch.testing.assert_close(own.grad, thresholds.grad)
    torch.testing.assert_close(made.depthwise.weight.grad, weight.grad)


def test_a_threshold_above_a_norm_takes_that_part_away() -> None:
    supernet: Any = initialise(SUPERKERNEL.builder().supernet(*DIGITS), 1)
    far = 1e3
    for raised, left in (((0,), "k3e6"), ((2,), "k5e3"), ((0, 2), "k3e3"), ((1,), "zero")):
        rows = [torch.zeros(part.thresholds) for part in elastic(supernet)]
        for at in raised:
            rows[1][at] = far
        path = tuple(int(row.argmax()) for row in gated(supernet, rows).weights)
        assert str(supernet.architecture(path)) == f"k5e6 {left}|k5e6 k5e6"


def searched(strategy: Use, epochs: float, space: str, **settings: Any) -> Any:
    problem = Problem(Use(space, **SIZES, **settings), "digits", Use("train", epochs=1), Use("train", epochs=1))
    [run] = plan(Study("elastic", problem, {"it": strategy}, [1], Budget(epochs=epochs))).runs
    found = run_search(run)
    assert found.status == "ok", found.error
    assert found.cost.epochs <= epochs
    return found


def test_the_dearer_cost_is_the_smaller_single_path_becomes() -> None:
    sizes = []
    for cost in (0.0, 3.0):
        found = searched(Use("single-path", cost=cost, batch_size=64), 3, "mobile-superkernel", layers=(2, 2))
        sizes.append(SUPERKERNEL.builder().size(SUPERKERNEL.parse(found.architecture), *DIGITS)[1])
    assert sizes[1] < sizes[0]


@pytest.mark.slow
def test_once_for_all_is_trained_and_searched_within_its_budget() -> None:
    found = searched(Use("ofa", population=4, generations=1), 8, "mobile-ofa", depths=(1, 2, 3))
    assert 0 < found.value < 0.95


def test_searches_of_elastic_layers_say_where_there_are_none() -> None:
    told = Scenario(nasbench201(), Seeds("test", 0, ""), Budget(epochs=10), trains=True)
    assert "see `mobile-ofa`" in str(once_for_all().unsupported(told))
    assert "see `mobile-superkernel`" in str(single_path().unsupported(told))
    assert once_for_all().unsupported(replace(told, space=OFA)) is None
    assert single_path().unsupported(replace(told, space=SUPERKERNEL)) is None
    assert "latency" in str(single_path(of="latency_ms").unsupported(replace(told, space=SUPERKERNEL)))
    assert not math.isnan(float(mobile_ofa().size))
