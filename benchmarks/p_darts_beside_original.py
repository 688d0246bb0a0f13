"""P-DARTS beside its authors' program: the same logits through all three stages, the genotypes compared.

    python benchmarks/p_darts_beside_original.py --code FOLDER [--cases 50] [--out tests/unit/published_stages.json]

FOLDER is a checkout of chenxin061/pdarts. Its `main` runs as it is, from 8 to 5 to 3 to 1 operations, through the
derivation, the choice of edges and the restriction of skip connections; only its supernet is replaced by one that is
not trained and ends each stage with logits that follow from the case (tests/unit/staged_logits.py). This package's
search runs its own loop, prunes, rebuilds and derives with the same logits. Compared are the normal and the reduction
cell at 0, 1, 2 and 8 skip connections at most; `--out` keeps the program's answers, which tests hold this package to.

Measured, 100 cases: all cells alike, at each of the four limits; 1 to 7 skips in normal cells without a limit.

Cost: about two seconds a case of one core.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "unit"))

from staged_logits import derived, of_stage, searched

CAPS = (8, 2, 1, 0)


class Untrained(nn.Module):
    """Stands for the program's supernet in one stage: logits of the operations that are switched on."""

    case, stage = 0, 0

    def __init__(self, *_: Any, switches_normal: list[list[bool]], switches_reduce: list[list[bool]], p: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.module = self
        logits = of_stage(Untrained.case, Untrained.stage)
        Untrained.stage += 1
        halves = zip((logits[:14], logits[14:]), (switches_normal, switches_reduce), strict=True)
        self._alphas = [self._on(rows, torch.tensor(switches)) for rows, switches in halves]

    @staticmethod
    def _on(logits: Tensor, switches: Tensor) -> Tensor:
        return torch.stack([row[on] for row, on in zip(logits, switches, strict=True)]).requires_grad_()

    def arch_parameters(self) -> list[Tensor]:
        return self._alphas

    def update_p(self) -> None:
        """Skips are not dropped where nothing is trained."""

    def cuda(self, *_: Any) -> Untrained:  # type: ignore[override]
        return self


def program(code: Path) -> Any:
    """The authors' script as a module, with nothing to train and no GPU."""
    torch.set_default_dtype(torch.float64)
    sys.path.insert(0, str(code))
    sys.argv = ["train_search", "--save", tempfile.mkdtemp() + "/", "--epochs", "1"]
    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["torchvision"].datasets = sys.modules["torchvision.datasets"]  # type: ignore[attr-defined]
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]  # type: ignore[attr-defined]
    sys.modules["torchvision.datasets"].CIFAR10 = lambda **_: [0] * 10  # type: ignore[attr-defined]
    import train_search as script  # type: ignore[import-not-found]

    torch.cuda.is_available = lambda: True
    nn.Module.cuda = lambda self, *_: self  # type: ignore[method-assign, assignment]
    nn.DataParallel = lambda net: net  # type: ignore[assignment, misc]
    script.Network = Untrained
    script.train = script.infer = lambda *_, **__: (0.0, 0.0)
    script.utils.save = script.utils.count_parameters_in_MB = lambda *_: 0
    script.utils._data_transforms_cifar10 = lambda *_: (None, None)
    logging.disable(logging.CRITICAL)
    return script


def original(script: Any, case: int) -> dict[str, dict[str, Any]]:
    """What the program prints for a case: the cells by the most skip connections."""
    Untrained.case, Untrained.stage = case, 0
    said: list[Any] = []
    script.logging = types.SimpleNamespace(info=lambda message, *values: said.append((message, *values)))
    with contextlib.redirect_stdout(io.StringIO()):
        script.main()
    printed = [(9, entry[0]) for entry in said if hasattr(entry[0], "normal")][:1]
    caps = [entry[1] for entry in said if str(entry[0]).startswith("Number of skip-connect")]
    restricted = [entry[0] for entry in said if hasattr(entry[0], "normal")][1:]
    printed += list(zip(caps, restricted, strict=True))
    # a cap that took nothing away is not printed: the answer is that of the next larger one
    return {str(cap): _cells(min((c, i) for i, (c, _) in enumerate(printed) if c >= cap), printed) for cap in CAPS}


def _cells(at: tuple[int, int], printed: list[tuple[int, Any]]) -> dict[str, Any]:
    genotype = printed[at[1]][1]
    return {name: _nodes(getattr(genotype, name)) for name in ("normal", "reduce")}


def _nodes(gene: list[tuple[str, int]]) -> list[list[list[Any]]]:
    pairs = [list(pair) for pair in gene]
    return [sorted(pairs[2 * node : 2 * node + 2], key=lambda pair: pair[1]) for node in range(4)]


def main() -> None:
    """Run both and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()):
        script = program(options.code)
    answers = [original(script, case) for case in range(options.cases)]
    torch.set_default_dtype(torch.float32)
    if options.out:
        options.out.write_text("[" + ",\n".join(map(json.dumps, answers)) + "]\n", encoding="utf-8")
    searches = [searched(case) for case in range(options.cases)]
    for cap in CAPS:
        pairs = [(derived(search, cap), answer[str(cap)]) for search, answer in zip(searches, answers, strict=True)]
        for cell in ("normal", "reduce"):
            equal = sum(one[cell] == other[cell] for one, other in pairs)
            print(f"at most {cap} skips, {cell} cell: {equal} of {len(pairs)} alike")
    taken = [sum(op == "skip_connect" for node in answer["8"]["normal"] for op, _ in node) for answer in answers]
    print(f"skips of the normal cell that were not restricted: {min(taken)} to {max(taken)}")


if __name__ == "__main__":
    main()
