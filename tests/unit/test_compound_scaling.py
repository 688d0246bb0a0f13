"""EfficientNet's compound scaling as a space."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_training import digits, losses

from searchbench.errors import StudyError
from searchbench.spaces.chains.efficientnet import efficientnet, rounded, scales
from searchbench.spaces.networks import count, initialise

DIGITS = (1, 8, 8), 10
SMALL = efficientnet(
    depths=(1.0, 2.0),
    widths=(1.0, 2.0),
    resolutions=(0.5, 1.0, 1.5),
    stem=8,
    channels=(8, 16),
    layers=(1, 1),
    strides=(1, 2),
    expansions=(1, 3),
    kernels=(3, 5),
    last=16,
    stem_stride=1,
)


@pytest.mark.parametrize(
    ("width", "depth", "side", "params", "billions"),
    [
        (1.0, 1.0, 224, 5_288_548, 0.39),
        (1.0, 1.1, 240, 7_794_184, 0.70),
        (1.1, 1.2, 260, 9_109_994, 1.0),
        (1.2, 1.4, 300, 12_233_232, 1.8),
        (2.0, 3.1, 600, 66_347_960, 37.0),
    ],
    ids=["B0", "B1", "B2", "B3", "B7"],
)
def test_scaled_networks_have_the_published_sizes(
    width: float, depth: float, side: int, params: int, billions: float
) -> None:
    space = efficientnet()
    architecture = space.architecture({"depth": depth, "width": width, "resolution": 1.0})
    network = space.builder().network(architecture, (3, side, side), 1000)
    found_params, found_macs = count(network, (3, side, side))
    assert found_params == params
    assert found_macs / 1e9 == pytest.approx(billions, rel=0.03)


def test_channels_are_rounded_to_eights_and_never_by_more_than_a_tenth_down() -> None:
    assert [rounded(c) for c in (3, 8, 12, 17.6, 35.2, 44, 1408)] == [8, 8, 16, 16, 32, 48, 1408]
    assert all(rounded(c) >= 0.9 * c for c in np.linspace(8, 400, 700))


def test_one_coefficient_scales_all_three_and_doubles_the_work() -> None:
    space = efficientnet(phis=(0.0, 1.0, 2.0))
    assert [decision.name for decision in space.decisions] == ["phi"]
    assert scales(space.architecture({"phi": 2.0})) == pytest.approx((1.2**2, 1.1**2, 1.15**2))
    alpha, beta, gamma = scales(space.architecture({"phi": 1.0}))
    assert alpha * beta**2 * gamma**2 == pytest.approx(2.0, rel=0.05)


def test_a_network_resamples_its_images_and_is_charged_for_what_it_sees() -> None:
    builder = SMALL.builder()
    architecture = {r: SMALL.architecture({"depth": 1.0, "width": 1.0, "resolution": r}) for r in (0.5, 1.0, 1.5)}
    sizes = {r: builder.size(a, *DIGITS) for r, a in architecture.items()}
    assert len({params for params, _ in sizes.values()}) == 1
    assert sizes[0.5][1] < sizes[1.0][1] / 3
    assert sizes[1.5][1] > 2 * sizes[1.0][1]
    inputs, _ = digits(4)
    for own in architecture.values():
        network = initialise(builder.network(own, *DIGITS), 0).eval()
        assert network(inputs).shape == (4, 10)
    half = initialise(builder.network(architecture[0.5], *DIGITS), 0).eval()
    smaller = torch.nn.functional.interpolate(inputs, (4, 4), mode="bilinear", antialias=True)
    whole = initialise(builder.network(architecture[1.0], *DIGITS), 0).eval()
    torch.testing.assert_close(half(inputs), whole(smaller))


def test_a_scaled_network_learns() -> None:
    found = losses(SMALL.builder().network(SMALL.sample(np.random.default_rng(0)), *DIGITS))
    assert found[-1] < 0.9 * found[0]


def test_scalings_that_build_the_same_share_a_key() -> None:
    space = efficientnet(depths=(1.0, 1.01, 1.2), widths=(1.0, 1.001), resolutions=(1.0,))
    plain = space.architecture({"depth": 1.0, "width": 1.0, "resolution": 1.0})
    assert space.architecture({"depth": 1.0, "width": 1.001, "resolution": 1.0}).key == plain.key
    assert space.architecture({"depth": 1.01, "width": 1.0, "resolution": 1.0}).key != plain.key  # 1 layer becomes 2
    for wrong in ({"depths": ()}, {"widths": (-1.0,)}, {"coefficients": (1.0, 0.0, 1.0)}):
        with pytest.raises(StudyError):
            efficientnet(**wrong)
