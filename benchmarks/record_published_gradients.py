"""Record losses and logits' gradients of the authors' programs, in double precision, on weights made from names.

    python benchmarks/record_published_gradients.py --code FOLDER [--out tests/unit/published_gradients.json]

FOLDER holds checkouts of what was released: `AutoDL-Projects` (D-X-Y), `NASP-codes` (xujinfan), `SNAS-Series`
(SNAS-Series), `DARTS-` (Meituan-AutoML). Every program is imported as it is, in a process of its own, on the CPU; its
supernet gets weights that follow from their places (tests/unit/named_weights.py), the logits, images and Gumbel noise
that tests/unit/test_recorded_gradients.py gives this package's supernets, and one backward pass of its loss. What is
recorded are the loss and the gradient of every logit. Nothing of the programs is kept.

Measured: losses differ by less than 2e-15, gradients by 1 to 4e-15 of their norm, for GDAS in its released form, SETN,
NASP, SNAS and DARTS-. The gradient of GDAS's paper is at cosine .11 to the released one.

Cost: ten seconds of one core.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "unit"))

from named_weights import CELLS, CHANNELS, CLASSES, TARGETS, TAU, gumbels, images, logits_of, put

FOLDERS = {"gdas": "AutoDL-Projects", "setn": "AutoDL-Projects", "nasp": "NASP-codes/codes", "snas": "SNAS-Series/SNAS",
           "darts-minus": "DARTS-"}  # fmt: skip


# -- programs of DARTS's shape: cells whose `_ops` are edges whose `_ops` are operations ------------------------------


def on_the_cpu() -> None:
    """Programs ask for a GPU, and for modules that only their training needs."""
    torch.set_default_dtype(torch.float64)
    torch.Tensor.cuda = nn.Module.cuda = lambda self, *_, **__: self  # type: ignore[assignment, method-assign]
    device = torch.device
    torch.device = lambda *given: device("cpu")  # type: ignore[assignment, misc]
    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "graphviz", "tensorboardX"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["torchvision"].datasets = sys.modules["torchvision.datasets"]  # type: ignore[attr-defined]
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]  # type: ignore[attr-defined]
    sys.modules["yaml"] = types.ModuleType("yaml")
    sys.modules["yaml"].Dumper = dict  # type: ignore[attr-defined]


def filled(net: Any, names: Callable[[bool, int], Any]) -> Any:
    """A supernet of DARTS's shape with weights that follow from their places; `names(reduction, edge)` are those of an
    edge's operations."""
    put("stem", net.stem)
    put("classifier", net.classifier)
    for number, cell in enumerate(net.cells):
        put(f"cell {number} first", cell.preprocess0)
        put(f"cell {number} second", cell.preprocess1)
        for edge, mixed in enumerate(cell._ops):
            for name, operation in zip(names(cell.reduction, edge), mixed._ops, strict=True):
                put(f"cell {number} edge {edge} {name}", operation)
            if hasattr(mixed, "auxiliary_op"):
                put(f"cell {number} edge {edge} auxiliary", mixed.auxiliary_op)
    return net.train()


def gradients(loss: Tensor, *alphas: Tensor) -> dict[str, Any]:
    """The loss, and its gradient at every logit, of the normal cell's edges first."""
    found = torch.autograd.grad(loss, alphas)
    return {"loss": float(loss), "gradient": [row for alpha in found for row in alpha.tolist()]}


def nasp() -> dict[str, Any]:
    """NASP: the gradient at the one-hot of a proximal step."""
    import genotypes  # type: ignore[import-not-found]
    from model_search import Network  # type: ignore[import-not-found]

    ours = {"conv 1x1": "conv_1x1", "conv 3x3": "conv_3x3", **{f"sep_{k}x{k}": f"sep_conv_{k}x{k}" for k in (3, 5, 7)}}
    lists = (genotypes.PRIMITIVES_NORMAL, genotypes.PRIMITIVES_REDUCE)
    net = Network(CHANNELS, CLASSES, CELLS, nn.CrossEntropyLoss())
    filled(net, lambda reduction, _: [ours.get(name, name) for name in lists[reduction]])
    for alpha, name in zip(net.arch_parameters(), ("normal", "reduce"), strict=True):
        alpha.data = logits_of(14, alpha.shape[1], name).sigmoid()
    net.binarization()
    return gradients(net._loss(images(), TARGETS, "alphas"), *net.arch_parameters())


def darts_minus() -> dict[str, Any]:
    """DARTS-: an auxiliary skip of weight 0.7 beside DARTS's operations."""
    sys.argv = ["record", "--auxiliary_skip", "--disable_cuda"]
    args = types.ModuleType("src.search.args")
    args.args = types.SimpleNamespace(auxiliary_skip=True, auxiliary_operation="skip", disable_cuda=True)  # type: ignore[attr-defined]
    args.beta_decay_scheduler = types.SimpleNamespace(decay_rate=0.7)  # type: ignore[attr-defined]
    sys.modules["src.search.args"] = args
    from src.search.model_search import Network  # type: ignore[import-not-found]

    names = ["none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3",
             "dil_conv_5x5"]  # fmt: skip
    lists = {"primitives_normal": [names] * 14, "primitives_reduct": [names] * 14}
    net = filled(Network(CHANNELS, CLASSES, CELLS, nn.CrossEntropyLoss(), lists, args=args.args), lambda *_: names)
    return _of_two_cells(net, lambda: net(images()), "alphas_normal", "alphas_reduce")


def snas() -> dict[str, Any]:
    """SNAS: weights drawn from the concrete distribution, temperature 2.5; the pass through its cells is the
    program's, without what it adds for resources."""
    import genotypes
    from model_search import Network

    missing = {"resample_layer": False, "ckpt_false_list": "[]", "temp": TAU, "steps": 4, "init_channels": CHANNELS}
    args = _Anything(missing)
    net = Network(CHANNELS, CLASSES, CELLS, nn.CrossEntropyLoss(), args, 0, 1)
    filled(net, lambda *_: genotypes.PRIMITIVES)

    def drawn(alpha: Tensor, noise: Tensor) -> Tensor:
        uniform = (-(-noise).exp()).exp()  # of which the program makes this noise again
        uniformly, torch.Tensor.uniform_ = torch.Tensor.uniform_, lambda self: self.copy_(uniform)  # type: ignore[method-assign, assignment]
        try:
            found: Tensor = net._get_weights(alpha)
        finally:
            torch.Tensor.uniform_ = uniformly  # type: ignore[method-assign]
        return found

    def forward() -> Tensor:
        noise = gumbels(28, 8)
        weights = drawn(net.normal_log_alpha, noise[:14]), drawn(net.reduce_log_alpha, noise[14:])
        before = last = net.stem(images())
        for cell in net.cells:
            before, last = last, cell(before, last, weights[cell.reduction], 0)[0]
        logits: Tensor = net.classifier(net.global_pooling(last).flatten(1))
        return logits

    return _of_two_cells(net, forward, "normal_log_alpha", "reduce_log_alpha")


class _Anything:
    """Settings that nobody asks about are off."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given

    def __getattr__(self, name: str) -> Any:
        return self._given.get(name, 0)


def _of_two_cells(net: Any, forward: Callable[[], Tensor], *names: str) -> dict[str, Any]:
    for name, cell in zip(names, ("normal", "reduce"), strict=True):
        getattr(net, name).data = logits_of(14, 8, cell)
    return gradients(F.cross_entropy(forward(), TARGETS), *(getattr(net, name) for name in names))


# -- programs of NAS-Bench-201's shape -------------------------------------------------------------------------------


def _cells_201(net: Any, operations: list[str]) -> Any:
    put("stem", net.stem)
    put("last", net.lastact)
    put("classifier", net.classifier)
    (cell,) = [cell for cell in net.cells if hasattr(cell, "edges")]
    for edge, key in enumerate(cell.edge_keys):
        for name, operation in zip(operations, cell.edges[key], strict=True):
            put(f"edge {edge} {name}", operation)
    for index, block in enumerate(part for part in net.cells if not hasattr(part, "edges")):
        put(f"block {index}", block)
    net.arch_parameters.data = logits_of(6, 5)
    return net.train()


OPERATIONS_201 = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]


def gdas() -> dict[str, Any]:
    """GDAS on NAS-Bench-201: hard draws at temperature 2.5, undrawn operations as numbers."""
    from xautodl.models.cell_searchs.search_model_gdas import TinyNetworkGDAS  # type: ignore[import-not-found]

    net = _one_cell(TinyNetworkGDAS)
    net.tau = TAU
    noise = gumbels(6, 5)
    torch.Tensor.exponential_ = lambda self: self.copy_((-noise).exp())  # type: ignore[method-assign, assignment]
    return gradients(F.cross_entropy(net(images())[1], TARGETS), net.arch_parameters)


def setn() -> dict[str, Any]:
    """SETN on NAS-Bench-201: the step of the logits, through all operations."""
    from xautodl.models.cell_searchs.search_model_setn import TinyNetworkSETN

    net = _one_cell(TinyNetworkSETN)
    net.set_cal_mode("joint")
    return gradients(F.cross_entropy(net(images())[1], TARGETS), net.arch_parameters)


def _one_cell(kind: Any) -> Any:
    """The program's network, of which one cell is left: stem, cell, classifier."""
    net = kind(CHANNELS, 1, 4, CLASSES, OPERATIONS_201, False, True)
    net.cells = nn.ModuleList([net.cells[0]])
    net.lastact = nn.Sequential(nn.BatchNorm2d(CHANNELS), nn.ReLU(inplace=True))
    net.classifier = nn.Linear(CHANNELS, CLASSES)
    return _cells_201(net, OPERATIONS_201)


METHODS = {"gdas": gdas, "setn": setn, "nasp": nasp, "snas": snas, "darts-minus": darts_minus}


def recorded(code: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every method's numbers, each from a process of its own."""
    for name in METHODS:
        command = [sys.executable, __file__, "--code", str(code), "--method", name]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            sys.exit(f"{name}: {answer.stderr[-2000:]}")
        yield name, json.loads(answer.stdout.splitlines()[-1])


def main() -> None:
    """Record all, or print one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("tests/unit/published_gradients.json"))
    parser.add_argument("--method", choices=METHODS)
    options = parser.parse_args()
    if options.method:
        sys.path.insert(0, str(options.code / FOLDERS[options.method]))
        on_the_cpu()
        print(json.dumps(METHODS[options.method]()))
        return
    found = dict(recorded(options.code))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(numbers)}" for name, numbers in found.items())
    options.out.write_text(f"{{{lines}}}\n", encoding="utf-8")
    for name, numbers in found.items():
        norm = math.sqrt(sum(x * x for row in numbers["gradient"] for x in row))
        print(f"{name}: loss {numbers['loss']:.6f}, gradient's norm {norm:.6g}")


if __name__ == "__main__":
    main()
