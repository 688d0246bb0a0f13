"""Arithmetic on many small images of many networks at once, with gradients written out. This file imports torch.

Everything here is a stack [N, H, B, W, C]: N networks (or edges of networks), then the rows of the images, the samples
of the minibatch, the pixels of a row, the channels. In this layout a row of a small image is one row of a matrix: a 3x3
convolution is three matrix products with banded matrices, one per row of the kernel, and the neighbouring row is a
slice away. Two thirds of the products are with zeros, and yet, with rows of 32 to 64 numbers, it is no slower than a
grouped convolution, and a network is contiguous in memory, which is what gathers and scatters need. Rows too long for
it are convolved in groups.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LONGEST_ROW = 128
"""Row lengths (pixels times channels) up to which a convolution is a banded matrix product."""
EPSILON = 1e-5
"""Of batch norm, PyTorch's default."""


def to_rows(images: Tensor) -> Tensor:
    """[N, B, C, H, W] -> [N, H, B, W, C]."""
    return images.permute(0, 3, 1, 4, 2)


def to_planes(stack: Tensor) -> Tensor:
    """[N, H, B, W, C] -> [B, N * C, H, W]: one image per sample, the networks side by side in its channels."""
    n, height, batch, width, channels = stack.shape
    return stack.permute(2, 0, 4, 1, 3).reshape(batch, n * channels, height, width)


def from_planes(planes: Tensor, n: int) -> Tensor:
    """The inverse of `to_planes`."""
    batch, stacked, height, width = planes.shape
    split = planes.reshape(batch, n, stacked // n, height, width)
    return split.permute(1, 3, 0, 4, 2).contiguous()


# -- convolution ---------------------------------------------------------------------------------------------------


def matrices_of(kernels: Tensor, width: int, stride: int = 1) -> Tensor:
    """What `convolve` multiplies by: kernels [N, O, I, k, k], prepared for images of a width."""
    _, outputs, inputs, side, _ = kernels.shape
    if stride == 1 and side == 1:
        return kernels.flatten(2).transpose(1, 2)
    if stride == 1 and side == 3 and width * max(inputs, outputs) <= LONGEST_ROW:
        return band(kernels, width)
    return kernels


def convolve(stack: Tensor, matrices: Tensor, stride: int = 1) -> Tensor:
    """Convolve every network's images with its own kernels, padded by half their side.

    Args:
        stack: [N, H, B, W, I].
        matrices: from `matrices_of`, with the same stride.
        stride: of both axes.

    Returns:
        [N, H', B, W', O], contiguous.
    """
    n, height, batch, width, inputs = stack.shape
    if matrices.ndim == 3:
        return torch.bmm(stack.reshape(n, -1, inputs), matrices).view(n, height, batch, width, -1)
    if matrices.ndim == 4:
        return _rows(stack.reshape(n, height * batch, -1), matrices, batch).view(n, height, batch, width, -1)
    planes = F.conv2d(to_planes(stack), matrices.flatten(0, 1), None, stride, matrices.shape[-1] // 2, 1, n)
    return from_planes(planes, n)


def convolve_backward(
    gradient: Tensor, stack: Tensor, matrices: Tensor, stride: int = 1, *, to_stack: bool = True
) -> tuple[Tensor | None, Tensor]:
    """Gradients of `convolve` with respect to its stack (None if not wanted) and to the kernels [N, O, I, k, k]."""
    n, _, batch, width, inputs = stack.shape
    outputs = gradient.shape[-1]
    if matrices.ndim == 3:
        flat, back = stack.reshape(n, -1, inputs), gradient.reshape(n, -1, outputs)
        by_kernels = torch.bmm(back.transpose(1, 2), flat)[..., None, None]
        return (torch.bmm(back, matrices.transpose(1, 2)).view_as(stack) if to_stack else None), by_kernels
    if matrices.ndim == 5:
        return _grouped_backward(gradient, stack, matrices, stride, to_stack)
    flat, back = stack.reshape(n, -1, width * inputs), gradient.reshape(n, -1, width * outputs)
    by_kernels = unband(_rows_by_matrices(flat, back, batch), inputs, outputs)
    if not to_stack:
        return None, by_kernels
    return _rows(back, matrices.flip(0).transpose(2, 3), batch).view_as(stack), by_kernels


def _rows(flat: Tensor, matrices: Tensor, batch: int) -> Tensor:
    """Every row times the middle matrix, plus its upper neighbour times the first, plus its lower times the last."""
    out, rest = torch.bmm(flat, matrices[1]), flat.shape[1] - batch
    if rest:
        out[:, batch:].baddbmm_(flat[:, :rest], matrices[0])
        out[:, :rest].baddbmm_(flat[:, batch:], matrices[2])
    return out


def _rows_by_matrices(flat: Tensor, back: Tensor, batch: int) -> Tensor:
    """Gradient of `_rows` with respect to its matrices."""
    turned, rest = flat.transpose(1, 2), flat.shape[1] - batch
    upper = torch.bmm(turned[:, :, :rest], back[:, batch:])
    lower = torch.bmm(turned[:, :, batch:], back[:, :rest])
    return torch.stack((upper, torch.bmm(turned, back), lower))


def band(kernels: Tensor, width: int) -> Tensor:
    """Kernels [N, O, I, 3, 3] as matrices [3, N, width * I, width * O], one per kernel row, to multiply a row by."""
    n, outputs, inputs, side, _ = kernels.shape
    matrices = kernels.new_zeros(side, n, width, inputs, width, outputs)
    for diagonal, column in _diagonals(matrices, side):
        diagonal.copy_(kernels[..., column].permute(3, 0, 2, 1).unsqueeze(-1).expand_as(diagonal))
    return matrices.view(side, n, width * inputs, width * outputs)


def unband(matrices: Tensor, inputs: int, outputs: int) -> Tensor:
    """The transpose of `band`: gradients of matrices summed into those of kernels [N, O, I, 3, 3]."""
    side, n, rows, _ = matrices.shape
    width = rows // inputs
    split = matrices.view(side, n, width, inputs, width, outputs)
    columns = [diagonal.sum(-1).permute(1, 3, 2, 0) for diagonal, _ in _diagonals(split, side)]
    return torch.stack(columns, -1)


def _diagonals(matrices: Tensor, side: int) -> list[tuple[Tensor, int]]:
    """Views [side, N, I, O, pixels] of the bands that hold one column of the kernel, with that column."""
    return [(matrices.diagonal(side // 2 - column, 2, 4), column) for column in range(side)]


def _grouped_backward(
    gradient: Tensor, stack: Tensor, kernels: Tensor, stride: int, to_stack: bool
) -> tuple[Tensor | None, Tensor]:
    n, side = kernels.shape[0], kernels.shape[-1]
    by_planes, by_kernel, _ = torch.ops.aten.convolution_backward(
        to_planes(gradient),
        to_planes(stack),
        kernels.flatten(0, 1),
        None,
        [stride] * 2,
        [side // 2] * 2,
        [1, 1],
        False,
        [0, 0],
        n,
        [to_stack, True, False],
    )
    return (from_planes(by_planes, n) if to_stack else None), by_kernel.view_as(kernels)


# -- batch norm ----------------------------------------------------------------------------------------------------


def column_sums(stack: Tensor) -> Tensor:
    """Sums over rows, samples and pixels, per network and channel: [N, C]."""
    n, _, _, width, channels = stack.shape
    flat = stack.reshape(n, -1, width * channels)
    # a product with ones: quicker than a sum over the first of two axes
    sums = torch.bmm(flat.new_ones(1, 1, flat.shape[1]).expand(n, -1, -1), flat)
    return sums.view(n, width, channels).sum(1)


def spread(channels: Tensor) -> Tensor:
    """[N, C] -> [N, 1, 1, 1, C], to be combined with a stack."""
    return channels[:, None, None, None]


def standardise(stack: Tensor, means: Tensor, variances: Tensor, momentum: float) -> Tensor:
    """Subtract each channel's mean, in place, and move the running statistics [N, C] as batch norm does.

    Returns:
        What the centred stack must be multiplied by to have variance one: [N, C].
    """
    count = stack[0, ..., 0].numel()
    mean = column_sums(stack) / count
    stack -= _along_rows(mean, stack)
    variance = column_sums(stack * stack) / count
    means.lerp_(mean, momentum)
    variances.lerp_(variance * (count / (count - 1)), momentum)
    return (variance + EPSILON).rsqrt()


def scaled(stack: Tensor, scale: Tensor) -> Tensor:
    """A stack with each channel multiplied by its own factor [N, C]."""
    return stack * _along_rows(scale, stack)


def scaled_plus(stack: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """A stack with each channel multiplied and shifted."""
    return torch.addcmul(_along_rows(shift, stack), stack, _along_rows(scale, stack))


def standardise_backward(
    gradient: Tensor, centred: Tensor, inverse: Tensor, gamma: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of gamma * standardised + beta with respect to what was standardised, gamma and beta.

    Args:
        gradient: of the result.
        centred, inverse: what `standardise` left and returned.
        gamma: [N, C].
    """
    count = centred[0, ..., 0].numel()
    by_beta = column_sums(gradient)
    by_gamma = column_sums(gradient * centred) * inverse
    scale = gamma * inverse
    by_stack = scaled_plus(gradient, scale, -scale * by_beta / count)
    by_stack.addcmul_(centred, _along_rows(-scale * inverse * by_gamma / count, centred))
    return by_stack, by_gamma, by_beta


def _along_rows(channels: Tensor, stack: Tensor) -> Tensor:
    """[N, C] repeated over the pixels of a row: with a whole row of factors, the loop over a row is one vector loop."""
    n, _, _, width, count = stack.shape
    return channels[:, None].expand(n, width, count).contiguous()[:, None, None]


# -- pooling -------------------------------------------------------------------------------------------------------


def pool_shares(height: int, width: int, like: Tensor) -> Tensor:
    """One over the number of pixels in the 3x3 window of each pixel: [H, 1, W, 1]."""
    rows, columns = (like.new_full((side,), 3.0) for side in (height, width))
    for counts in (rows, columns):
        counts[0] -= 1
        counts[-1] -= 1
    return (rows[:, None] * columns[None]).reciprocal()[:, None, :, None]


def window_sums(stack: Tensor) -> Tensor:
    """The sum over the 3x3 window of each pixel, by rows and then by columns. Its own transpose."""
    rows = stack.clone()
    rows[:, 1:] += stack[:, :-1]
    rows[:, :-1] += stack[:, 1:]
    sums = rows.clone()
    sums[..., 1:, :] += rows[..., :-1, :]
    sums[..., :-1, :] += rows[..., 1:, :]
    return sums
