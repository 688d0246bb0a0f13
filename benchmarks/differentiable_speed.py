"""Steps of differentiable search on the DARTS space: ours against the plain form and, where given, the original code.

    python benchmarks/differentiable_speed.py [--rounds 3] [--original FOLDER] [--sizes tiny full]
    python benchmarks/differentiable_speed.py --device cuda

On a CPU: processor seconds, one thread, medians of interleaved rounds; peak memory of a fresh process each. `FOLDER` is
`cnn` of github.com/quark0/darts. On a GPU: search images per second and peak memory at C=16, L=8, batch 64.
Needs PyTorch and NumPy only.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from fresh_process import printed_alone
from torch import Tensor, nn

from searchbench.spaces.darts.space import darts
from searchbench.spaces.networks import Mixed, initialise
from searchbench.spaces.topology import PLAIN, Form
from searchbench.testing.plain_darts import plain_logits

SIZES = {"tiny": (4, 5, 32, 8), "full": (16, 8, 16, 32)}
"""Channels, cells, batch, side."""
STEPS = ("weights", "first", "second")
EPSILON = 0.01

Run = Callable[[Any, Tensor, Any], Tensor]


class Player:
    """A supernet with its optimisers and two batches; `step` does one step of a kind."""

    fused = True

    def __init__(self, run: Run, size: tuple[int, int, int, int], form: Form = PLAIN, device: str = "cpu") -> None:
        channels, cells, batch, side = size
        self.run, self.form = run, form
        net = darts(channels, cells).builder().supernet((3, side, side), 10, form)
        self.net = initialise(net, 0, device).train()
        self.weights = list(self.net.parameters())
        self.alpha = (1e-3 * torch.randn((28, 8), generator=torch.Generator().manual_seed(1))).to(device)
        self.alpha.requires_grad_()
        generator = torch.Generator().manual_seed(2)
        draw = lambda: torch.randn((batch, 3, side, side), generator=generator).to(device)  # noqa: E731
        self.inputs, self.valid = draw(), draw()
        self.targets = (torch.arange(batch) % 10).to(device)
        self.weight_optimizer = torch.optim.SGD(self.weights, 0.025, momentum=0.9, weight_decay=3e-4, fused=self.fused)
        self.alpha_optimizer = torch.optim.Adam([self.alpha], 3e-4, betas=(0.5, 0.999), weight_decay=1e-3)

    def active(self, alpha: Tensor) -> Mixed:
        edges = alpha.new_ones(28) / 3 if self.form.partial > 1 else None
        return Mixed(alpha.softmax(-1), None, edges)

    def loss(self, inputs: Tensor, alpha: Tensor) -> Tensor:
        return F.cross_entropy(self.run(self.net, inputs, self.active(alpha)), self.targets)

    def step(self, kind: str) -> None:
        if kind == "first":
            for weight in self.weights:
                weight.requires_grad_(False)
            self.alpha.grad = torch.autograd.grad(self.loss(self.valid, self.alpha), self.alpha)[0]
            for weight in self.weights:
                weight.requires_grad_(True)
            self.alpha_optimizer.step()
        elif kind == "second":
            self.unrolled()
            self.alpha_optimizer.step()
        self.weight_optimizer.zero_grad(set_to_none=True)
        self.loss(self.inputs, self.alpha.detach()).backward()
        nn.utils.clip_grad_norm_(self.weights, 5.0)
        self.weight_optimizer.step()

    def unrolled(self) -> None:
        """One virtual step, the gradients of both players there, and two passes for the logits alone."""
        kept = [weight.detach().clone() for weight in self.weights]
        gradients = torch.autograd.grad(self.loss(self.inputs, self.alpha.detach()), self.weights, allow_unused=True)
        with torch.no_grad():
            for weight, gradient in zip(self.weights, gradients, strict=True):
                if gradient is not None:
                    weight.sub_(gradient + 3e-4 * weight, alpha=0.025)
        at_step = torch.autograd.grad(self.loss(self.valid, self.alpha), [self.alpha, *self.weights])
        eps = EPSILON / torch.stack([v.square().sum() for v in at_step[1:]]).sum().sqrt()
        found = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                for weight, start, direction in zip(self.weights, kept, at_step[1:], strict=True):
                    weight.copy_(start + sign * eps * direction).requires_grad_(False)
            found.append(torch.autograd.grad(self.loss(self.inputs, self.alpha), self.alpha)[0])
        with torch.no_grad():
            for weight, start in zip(self.weights, kept, strict=True):
                weight.copy_(start).requires_grad_(True)
        self.alpha.grad = at_step[0] - 0.025 * (found[0] - found[1]) / (2 * eps)


class Original:
    """The original code, from a folder, with its GPU calls made to do nothing."""

    def __init__(self, folder: Path, size: tuple[int, int, int, int]) -> None:
        sys.path.insert(0, str(folder))
        torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign,assignment]
        nn.Module.cuda = lambda self, *_, **__: self  # type: ignore[method-assign,assignment]
        from architect import Architect  # type: ignore[import-not-found]
        from model_search import Network  # type: ignore[import-not-found]

        channels, cells, batch, side = size
        self.net = Network(channels, 10, cells, nn.CrossEntropyLoss())
        settings = argparse.Namespace(momentum=0.9, weight_decay=3e-4, arch_learning_rate=3e-4, arch_weight_decay=1e-3)
        self.architect = Architect(self.net, settings)
        self.optimizer = torch.optim.SGD(self.net.parameters(), 0.025, momentum=0.9, weight_decay=3e-4)
        self.inputs, self.valid = torch.randn(batch, 3, side, side), torch.randn(batch, 3, side, side)
        self.targets = torch.arange(batch) % 10

    def step(self, kind: str) -> None:
        if kind != "weights":
            data = (self.inputs, self.targets, self.valid, self.targets)
            self.architect.step(*data, 0.025, self.optimizer, unrolled=kind == "second")
        self.optimizer.zero_grad()
        F.cross_entropy(self.net(self.inputs), self.targets).backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()


def ours(net: Any, inputs: Tensor, active: Mixed) -> Tensor:
    return net(inputs, active)  # type: ignore[no-any-return]


def player(name: str, size: str, folder: Path | None) -> Player | Original:
    if name == "original":
        assert folder is not None
        return Original(folder, SIZES[size])
    return Player(ours if name == "ours" else plain_logits, SIZES[size])


def seconds(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def on_cpu(options: argparse.Namespace) -> None:
    names = ["ours", "plain", *(["original"] if options.original else [])]
    for size in options.sizes:
        players = {name: player(name, size, options.original) for name in names}
        for kind in options.steps:
            taken: dict[str, list[float]] = {name: [] for name in names}
            for turn in range(options.rounds + 1):
                for name in names:
                    spent = seconds(lambda: players[name].step(kind))  # noqa: B023
                    if turn:  # the first warms up
                        taken[name].append(spent)
            shown = []
            for name in names:
                median = statistics.median(taken[name])
                ratio = statistics.median(a / b for a, b in zip(taken[name], taken["ours"], strict=True))
                shown.append(f"{name} {median:.3f} s ({ratio:.2f}x, {memory(name, size, kind, options)} MB)")
            print(f"{size} {kind}: " + ", ".join(shown), flush=True)


def memory(name: str, size: str, kind: str, options: argparse.Namespace) -> int:
    """Peak resident memory of a fresh process that does two steps, in MB."""
    command = [sys.executable, __file__, "--alone", name, "--sizes", size, "--steps", kind]
    command += ["--original", str(options.original)] if options.original else []
    return printed_alone(command)


# -- GPU -----------------------------------------------------------------------------------------------------------

GPU_STEPS = 12


class Drawn(Player):
    """GDAS: one operation per edge, drawn anew in every pass, its weight straight through the softmax."""

    fused = False  # what was never drawn has no momentum yet, which the fused step wants of all
    draws = torch.Generator().manual_seed(0)

    def active(self, alpha: Tensor) -> Mixed:
        noise = -torch.empty(alpha.shape).exponential_(generator=self.draws).log().to(alpha.device)
        soft = (alpha + noise).softmax(-1)
        chosen = soft.argmax(-1)
        hard = F.one_hot(chosen, 8).to(soft) - soft.detach() + soft
        return Mixed(hard, [(op,) for op in chosen.tolist()])


def on_gpu(options: argparse.Namespace) -> None:
    size, device = (16, 8, 64, 32), "cuda"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    methods: dict[str, tuple[type[Player], Form]] = {
        "DARTS-1": (Player, PLAIN),
        "GDAS": (Drawn, PLAIN),
        "PC-DARTS": (Player, Form(partial=4)),
    }
    started = time.perf_counter()
    for method, (kind, form) in methods.items():
        base: float | None = None
        for form_name, run in (("plain fp32", plain_logits), ("ours fp32", ours), ("ours bf16", bf16(ours))):
            base = measured(method, form_name, kind(run, size, form, device), base)
        base = measured(method, "ours bf16 channels-last", channels_last(kind(bf16(ours), size, form, device)), base)
        if method != "GDAS" and time.perf_counter() - started < options.limit - 50:  # what is drawn compiles anew
            compiled = torch.compile(ours, dynamic=False)
            measured(method, "ours bf16 compiled", kind(bf16(compiled), size, form, device), base)


def channels_last(search: Player) -> Player:
    """The same search on channels-last images and weights."""
    search.net.to(memory_format=torch.channels_last)
    search.inputs, search.valid = (
        images.contiguous(memory_format=torch.channels_last) for images in (search.inputs, search.valid)
    )
    return search


def bf16(run: Run) -> Run:
    """Under autocast; the loss stays in single precision."""

    def cast(net: Any, inputs: Tensor, active: Any) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16):
            return run(net, inputs, active).float()

    return cast


def measured(method: str, name: str, search: Player, base: float | None) -> float | None:
    """Print images per second of whole search steps (both batches counted) and peak memory; returns the base."""
    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    try:
        for _ in range(3):
            search.step("first")
        torch.cuda.synchronize()
        warm = time.perf_counter() - began
        times = []
        for _ in range(GPU_STEPS):
            started = time.perf_counter()
            search.step("first")
            torch.cuda.synchronize()
            times.append(time.perf_counter() - started)
    except Exception as error:  # one variant that fails must not hide the others
        print(f"{method} {name}: failed, {type(error).__name__}: {str(error)[:300]}", flush=True)
        return base
    rate = 2 * len(search.targets) / statistics.median(times)
    base = base or rate
    peak = torch.cuda.max_memory_allocated() / 2**20
    print(f"{method} {name}: {rate:.0f} images/s, {peak:.0f} MB, {rate / base:.2f}x (warm-up {warm:.1f} s)", flush=True)
    return base


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=list(SIZES))
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--original", type=Path)
    parser.add_argument("--limit", type=float, default=140.0, help="seconds after which nothing new is compiled")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.device == "cuda":
        on_gpu(options)
    elif options.alone:
        alone = player(options.alone, options.sizes[0], options.original)
        for _ in range(2):
            alone.step(options.steps[0])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    else:
        on_cpu(options)


if __name__ == "__main__":
    main()
