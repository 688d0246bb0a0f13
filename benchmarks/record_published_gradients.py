"""Record losses and logits' gradients of the authors' programs, in double precision, on weights made from names.

    python benchmarks/record_published_gradients.py --code FOLDER [--out tests/unit/published_gradients.json]

FOLDER holds checkouts of what was released: `AutoDL-Projects` (D-X-Y), `NASP-codes` (xujinfan), `SNAS-Series`
(SNAS-Series), `DARTS-` (Meituan-AutoML), `DenseNAS` (JaminFong), `oles` (PasaLab). Every program is imported as it is,
in a process of its own, on the CPU; its supernet gets weights that follow from their places
(tests/unit/named_weights.py), the logits, images and Gumbel noise that tests/unit/test_recorded_gradients.py gives this
package's supernets, and one backward pass of its loss. What is recorded are the loss and the gradient of every logit;
of DenseNAS also the expected cost with its gradient, and what is derived of thirty draws of logits; of OLES the cosines
by which operations stop. Nothing of the programs is kept.

Measured: losses differ by less than 2e-15, gradients by 1 to 4e-15 of their norm, for GDAS in its released form, SETN,
NASP, SNAS, DARTS- and DenseNAS. The gradient of GDAS's paper is at cosine .11 to the released one.

Cost: ten seconds of one core.
"""

from __future__ import annotations

import argparse
import ast
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

from named_weights import (
    CELLS,
    CHANNELS,
    CLASSES,
    PAIR,
    SIDE,
    TARGETS,
    TAU,
    gumbels,
    images,
    logits_of,
    normal,
    put,
    put_convolutions,
)

FOLDERS = {"gdas": "AutoDL-Projects", "setn": "AutoDL-Projects", "nasp": "NASP-codes/codes", "snas": "SNAS-Series/SNAS",
           "darts-minus": "DARTS-", "oles": "oles", "densenas": "DenseNAS", "densenas-cost": "DenseNAS",
           "densenas-routes": "DenseNAS"}  # fmt: skip


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


def oles() -> dict[str, Any]:
    """OLES: the cosine that its program adds up of every operation with weights, of one step of either player."""
    import model_search

    torch.Tensor.cpu = torch.Tensor.clone  # type: ignore[method-assign, assignment]  # as from another device
    names = ("freeze", "preserve_grads", "check_grads_cosine")
    program = ast.parse(Path(model_search.__file__).with_name("train_search.py").read_text(encoding="utf-8"))
    kept = [part for part in program.body if isinstance(part, ast.FunctionDef) and part.name in names]
    own = vars(model_search) | {"logging": types.SimpleNamespace(info=lambda _: None)}
    own["operation_list"] = [own[name] for name in ("SepConv3", "SepConv5", "DilConv3", "DilConv5")]
    exec(compile(ast.Module(kept, []), "train_search.py", "exec"), own)
    net = model_search.Network(CHANNELS, CLASSES, CELLS, nn.CrossEntropyLoss())
    filled(net, lambda *_: model_search.PRIMITIVES)
    net.alphas_normal.data, net.alphas_reduce.data = logits_of(14, 8, "normal"), logits_of(14, 8, "reduce")
    loss = F.cross_entropy(net(images()), TARGETS)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    net.apply(own["preserve_grads"])
    F.cross_entropy(net(images("validation images")), TARGETS).backward()
    net.apply(own["check_grads_cosine"])
    found = {
        f"cell {number} edge {edge} {name}": float(operation.avg)
        for number, cell in enumerate(net.cells)
        for edge, mixed in enumerate(cell._ops)
        for name, operation in zip(model_search.PRIMITIVES, mixed._ops, strict=True)
        if "conv" in name
    }
    return {"loss": float(loss.detach()), "cosines": found}


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


# -- routes through blocks -------------------------------------------------------------------------------------------


def _settings_of_blocks(chs: list[int], sides: list[int], stage: list[int], layers: list[int], last: int) -> Any:
    """The program's settings of a small space, costs in multiply-accumulates."""
    from configs.search_config import search_cfg  # type: ignore[import-not-found]

    scale = search_cfg.search_params.net_scale
    scale.chs, scale.fm_sizes, scale.stage, scale.num_layers = chs, sides, stage, layers
    search_cfg.search_params.adjoin_connect_nums = [4] * len(stage)
    search_cfg.optim.update({"head_dim": chs[0], "init_dim": chs[0], "last_dim": last, "init_mode": "he_fout"})
    search_cfg.optim.update({"bn_momentum": 0.1, "bn_eps": 1e-5})
    search_cfg.optim.sub_obj.type = "flops"
    return search_cfg


def _blocks() -> Any:
    """The program's supernet of three blocks: widths 4 and 6, then 8, each of two layers."""
    from models.search_space_mbv2 import Network  # type: ignore[import-not-found]

    config = _settings_of_blocks([CHANNELS, 4, 6, 8], [4, 2, 2, 2], [0, 1, 1, 2, 3], [0, 1, 1, 1], 12)
    net = Network(CHANNELS, "none", config)
    net.classifier = nn.Linear(12, CLASSES)
    parts = {"stem": net.input_block, "fixed": net.head_block, "classifier": net.classifier}
    parts["end 8"] = net.conv1_1_block.conv1_1_branches[0]
    for block, inputs in zip(net.blocks, net.input_configs, strict=False):
        for source, width, branch in zip(
            inputs["in_block_idx"], inputs["in_chs"], block.head_layer.head_branches, strict=True
        ):
            name = f"{inputs['ch']} from {width if source else 'fixed'}"
            parts |= {f"{name} {op}": part for op, part in enumerate(branch._ops)}
        parts |= {f"{inputs['ch']} layer {op}": part for op, part in enumerate(block.stack_layers.stack_layers[0]._ops)}
    for name, part in parts.items():
        put_convolutions(name, part)
    return net.train()


def _logits_of_blocks(net: Any, draw: str = "logits") -> dict[str, Any]:
    """Fill the logits of operations and of ways on, and say where they are by what they are of."""
    found: dict[str, Any] = {}
    names = ["fixed", *(inputs["ch"] for inputs in net.input_configs[:-1]), "end"]
    for at, inputs in enumerate(net.input_configs[:-1]):
        heads, stacked = net.alpha_head_weights[at], net.alpha_stack_weights[at]
        sources = enumerate(inputs["in_block_idx"])
        found |= {f"{inputs['ch']} from {names[source]}": (heads, number) for number, source in sources}
        found |= {f"{inputs['ch']} layer {number}": (stacked, number) for number in range(len(stacked))}
    for at, outputs in enumerate(net.output_configs):
        ways = enumerate(outputs["out_id"])
        found |= {f"way {names[to]} from {names[at]}": (net.beta_weights[at], number) for number, to in ways}
    for name, (weights, row) in found.items():
        weights.data[row] = normal(f"{draw} of {name}", tuple(weights.data[row].shape))
    return found


def _gradients_of_blocks(loss: Tensor, logits: dict[str, Any]) -> dict[str, Any]:
    """The loss, and its gradient at the logits of every name."""
    loss.backward()
    named = {name: weights.grad[row].tolist() for name, (weights, row) in logits.items()}
    return {"loss": float(loss.detach()), "named": named}


def densenas() -> dict[str, Any]:
    """DenseNAS: the step of the logits with two operations of every layer, the loss without its cost."""
    from models.dropped_model import Dropped_Network  # type: ignore[import-not-found]

    net = _blocks()
    logits = _logits_of_blocks(net)
    _cost_in_macs(net)
    heads = [torch.tensor([PAIR] * len(rows)) for rows in net.alpha_head_weights]
    stacks = [torch.tensor([PAIR] * len(rows)) for rows in net.alpha_stack_weights]
    dropped = Dropped_Network(types.SimpleNamespace(module=net), heads, stacks)
    return _gradients_of_blocks(F.cross_entropy(dropped(images())[0], TARGETS), logits)


def densenas_cost() -> dict[str, Any]:
    """DenseNAS: the estimate of a chain's cost, in millions of multiply-accumulates, over all operations."""
    from models.dropped_model import Dropped_Network

    net = _blocks()
    logits = _logits_of_blocks(net)
    _cost_in_macs(net)
    for kind in ("head", "stack"):
        net.sample_branch(kind, 1, training=False)
    dropped = Dropped_Network(types.SimpleNamespace(module=net))
    return _gradients_of_blocks(dropped(images())[1].sum(), logits)


def _cost_in_macs(net: Any) -> None:
    net.sub_obj_list = net.get_cost_list((3, SIDE, SIDE), cost_type="flops", use_gpu=False)[0]
    torch.tensor = lambda value, *_, **__: torch.as_tensor(value)  # of what is a tensor already


def densenas_routes() -> dict[str, Any]:
    """DenseNAS: what its program derives of thirty draws of logits."""
    from models.search_space_base import Network  # type: ignore[import-not-found]
    from run_apis.derive_arch_mbv2 import ArchGenerate  # type: ignore[import-not-found]

    chs, layers = [16, 24, 32, 40, 48, 56, 64], [0, 2, 2, 2, 2, 2, 2]
    config = _settings_of_blocks(chs, [8, 4, 4, 2, 2, 1, 1], [0, 1, 1, 2, 2, 3, 3, 4], layers, 80)
    net = Network(16, "none", config)
    found = []
    for draw in range(30):
        _logits_of_blocks(net, f"draw {draw}")
        found.append(ArchGenerate(net, config).derive_archs(*net.display_arch_params(display=False), if_display=False))
    return {"loss": 0.0, "derived": found}


METHODS = {"gdas": gdas, "setn": setn, "nasp": nasp, "snas": snas, "darts-minus": darts_minus, "densenas": densenas,
           "densenas-cost": densenas_cost, "densenas-routes": densenas_routes, "oles": oles}  # fmt: skip


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
        print(f"{name}: loss {numbers['loss']:.6f}, gradient's norm {norm_of(numbers):.6g}")


def norm_of(numbers: dict[str, Any]) -> float:
    """The norm of a recorded gradient; 0 where something else was recorded."""
    rows = numbers.get("gradient") or list(numbers.get("named", {}).values())
    return math.sqrt(sum(x * x for row in rows for x in (row if isinstance(row, list) else [row])))


if __name__ == "__main__":
    main()
