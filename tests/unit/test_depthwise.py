"""Depthwise convolutions with a backward pass of their own against PyTorch's."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from searchbench.spaces import depthwise as module
from searchbench.spaces.depthwise import depthwise, gains

CASES = list(itertools.product((3, 5, 7), (1, 2), (8, 9)))


def drawn(size, side):
    generator = torch.Generator().manual_seed(size * side)
    value = torch.randn((2, 3, side, side + 1), generator=generator, dtype=torch.float64)
    kernel = torch.randn((3, 1, size, size), generator=generator, dtype=torch.float64)
    return value.contiguous(memory_format=torch.channels_last).requires_grad_(), kernel.requires_grad_()


@pytest.mark.parametrize(("size", "stride", "side"), CASES)
def test_outputs_and_first_and_second_derivatives_are_those_of_the_convolution(size, stride, side):
    value, kernel = drawn(size, side)
    found = []
    for run in (
        lambda: depthwise(value, kernel, stride, size // 2),
        lambda: F.conv2d(value, kernel, None, stride, size // 2, 1, 3),
    ):
        output = run()
        slopes = torch.autograd.grad(output.sin().sum(), (value, kernel), create_graph=True)
        found.append(
            (output, *slopes, *torch.autograd.grad(sum(slope.sin().sum() for slope in slopes), (value, kernel)))
        )
    assert all(torch.allclose(one, other, rtol=0, atol=1e-10) for one, other in zip(*found, strict=True))


def test_only_what_is_asked_for_is_computed(monkeypatch):
    value, kernel = drawn(5, 8)
    monkeypatch.setattr(module, "_by_kernel", lambda *_: pytest.fail("the kernel's gradient was not asked for"))
    output = depthwise(value, kernel.detach(), 1, 2)
    assert torch.autograd.grad(output.sum(), value)[0].shape == value.shape


def test_small_images_and_kernels_are_left_to_pytorch():
    wide = torch.empty((8, 256, 8, 8))
    assert gains(wide, torch.empty((256, 1, 5, 5)))
    assert not gains(wide, torch.empty((256, 1, 3, 3)))
    assert not gains(wide[:1], torch.empty((256, 1, 5, 5)))
