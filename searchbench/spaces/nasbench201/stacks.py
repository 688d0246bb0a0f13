"""The modules that stacks of networks are made of, and the way back: which part of a stack belongs to which network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from searchbench.spaces.nasbench201 import stack_arithmetic as arithmetic
from searchbench.spaces.operations import ConvNorm


@runtime_checkable
class Stacks(Protocol):
    """A builder (see `networks.Networks`) whose networks can be trained together in one graph."""

    def stack(self, networks: Sequence[Any]) -> nn.Module:
        """Initialised networks as one module: images [G, B, C, H, W] -> logits [N, B, classes], G being 1 or N.

        Its parameters and buffers are the values of `StackedTensor`s, and no others.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows of a parameter or buffer of one network."""

    network: int
    tensor: Tensor
    rows: slice

    def of(self, tensor: Tensor) -> Tensor:
        """These rows of a tensor that is shaped alike (a momentum), without gradient."""
        return tensor.detach()[self.rows]


def whole(tensors: Sequence[Tensor]) -> list[Part]:
    """One whole tensor of each network, in their order."""
    return [Part(at, tensor, slice(None)) for at, tensor in enumerate(tensors)]


class StackedTensor(nn.Module):
    """Parts of equal shape as one parameter, or one buffer if they are buffers: `value` [n, …]."""

    value: Tensor

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts = parts
        value = torch.stack([part.of(part.tensor) for part in parts])
        if isinstance(parts[0].tensor, nn.Parameter):
            self.value = nn.Parameter(value)
        else:
            self.register_buffer("value", value)
        self.owners = torch.tensor([part.network for part in parts], device=value.device)

    def __len__(self) -> int:
        return len(self.parts)


def stacked_tensors(module: nn.Module) -> Iterator[StackedTensor]:
    """All stacked tensors of a stack."""
    return (part for part in module.modules() if isinstance(part, StackedTensor))


class StackedNorm(nn.Module):
    """Affine batch norms of equal width, one per entry: those of several networks, or of several edges."""

    def __init__(self, norms: Sequence[tuple[int, nn.BatchNorm2d, slice]]) -> None:
        super().__init__()
        self.gamma, self.beta, self.mean, self.variance = (
            StackedTensor([Part(network, getattr(norm, name), at) for network, norm, at in norms])
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        momentum = norms[0][1].momentum
        assert momentum is not None, "a plain average over batches is not stacked"
        self.momentum = momentum

    @classmethod
    def of(cls, norms: Sequence[nn.BatchNorm2d]) -> StackedNorm:
        """A whole norm of each network."""
        return cls([(at, norm, slice(None)) for at, norm in enumerate(norms)])

    def forward(self, stack: Tensor) -> Tensor:
        """[N, H, B, W, C] -> the same shape."""
        if not self.training:
            return arithmetic.scaled_plus(stack, *self.fixed())
        return cast(Tensor, _Normalised.apply(stack, self.gamma.value, self.beta.value, self))  # type: ignore[no-untyped-call]

    def fixed(self) -> tuple[Tensor, Tensor]:
        """(scale, shift) [N, C] of the evaluation mode."""
        scale = self.gamma.value * (self.variance.value + arithmetic.EPSILON).rsqrt()
        return scale, self.beta.value - self.mean.value * scale

    def standardise(self, stack: Tensor) -> Tensor:
        """`arithmetic.standardise` with these statistics."""
        return arithmetic.standardise(stack, self.mean.value, self.variance.value, self.momentum)


class StackedConvNorm(nn.Module):
    """Convolutions without bias, each followed by its batch norm."""

    def __init__(self, kernels: Sequence[Part], norm: StackedNorm, stride: int = 1) -> None:
        super().__init__()
        self.kernels, self.norm, self.stride = StackedTensor(kernels), norm, stride

    @classmethod
    def of(cls, blocks: Sequence[ConvNorm], stride: int = 1) -> StackedConvNorm:
        """A whole block of each network."""
        kernels = whole([block.conv.weight for block in blocks])
        return cls(kernels, StackedNorm.of([block.norm for block in blocks]), stride)

    def forward(self, stack: Tensor) -> Tensor:
        """[N, H, B, W, I] -> [N, H', B, W', O]."""
        return self.norm(_Convolved.apply(stack, self.kernels.value, self.stride))  # type: ignore[no-any-return,no-untyped-call]


class _Convolved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, stack: Tensor, kernels: Tensor, stride: int) -> Tensor:
        matrices = arithmetic.matrices_of(kernels, stack.shape[3], stride)
        ctx.save_for_backward(stack, matrices)
        ctx.stride = stride
        return arithmetic.convolve(stack, matrices, stride)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        stack, matrices = ctx.saved_tensors
        wanted = ctx.needs_input_grad[0]
        return *arithmetic.convolve_backward(gradients[0], stack, matrices, ctx.stride, to_stack=wanted), None


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, stack: Tensor, gamma: Tensor, beta: Tensor, norm: StackedNorm) -> Tensor:
        centred = stack.clone(memory_format=torch.contiguous_format)
        inverse = norm.standardise(centred)
        ctx.save_for_backward(centred, inverse, gamma)
        return arithmetic.scaled_plus(centred, gamma * inverse, beta)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        return *arithmetic.standardise_backward(gradients[0], *ctx.saved_tensors), None
