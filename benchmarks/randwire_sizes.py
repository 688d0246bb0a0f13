"""Sizes of randomly wired networks at ImageNet's size, over many instances, beside reference counts.

    python benchmarks/randwire_sizes.py [--draws 25]

Nothing is trained: sizes are closed forms, which the tests hold to what networks execute on the meta device.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from searchbench.spaces.graphs.randwire import randwire, randwire_regular
from searchbench.spaces.space import Space

SHAPE, CLASSES = (3, 224, 224), 1000
WHAT = ("weights", "MACs", "MACs with the weighted sums")


@dataclass(frozen=True, slots=True)
class Reference:
    """Counted by others: mean and standard deviation over independent draws, in millions."""

    name: str
    space: Space
    draws: int
    counts: tuple[tuple[float, float], ...]


def references(draws: int) -> tuple[Reference, ...]:
    """What there is to compare with, where sizes are random with so many draws of our own."""
    return (
        Reference("C=78, WS(4,0.75)", randwire(instances=draws), 25, ((5.61, 0.08), (577.9, 5.5), (583.9, 5.4))),
        Reference("C=78, ER(0.2)", randwire("ER(0.2)", instances=draws), 5, ((5.69, 0.06),)),
        Reference("C=109, WS(4,0.75)", randwire_regular(instances=draws), 12, ((32.05, 0.78), (3955, 59), (3981, 59))),
        Reference("C=78, WS(4,0)", randwire("WS(4,0)", instances=2), 1, ((5.93, 0.0), (604, 0.0), (610, 0.0))),
        Reference("C=78, BA(5)", randwire("BA(5)", instances=2), 1, ((5.678, 0.0),)),
        Reference("C=78, BA(7)", randwire("BA(7)", instances=2), 1, ((5.552, 0.0),)),
    )


def counted(space: Space) -> np.ndarray:
    """[instances, 3] in millions, as `WHAT` says."""
    builder = space.builder()
    sizes = [(*builder.size(a, SHAPE, CLASSES), builder.edge_macs(a, SHAPE)) for a in space.enumerate()]
    return np.array([(params, macs, macs + sums) for params, macs, sums in sizes]) / 1e6


def main() -> None:
    """Print every reference beside draws of our own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=25, help="instances per generator, at least 2")
    draws = parser.parse_args().draws
    if draws < 2:
        parser.error(f"a standard deviation needs at least 2 draws, but got {draws}")
    for reference in references(draws):
        found = counted(reference.space)
        print(f"{reference.name}, {len(found)} draws")
        for at, (mean, std) in enumerate(zip(found.mean(0), found.std(0, ddof=1), strict=True)):
            line = f"  {WHAT[at]:28} {mean:9.3f} ± {std:.3f} M"
            if at < len(reference.counts):
                theirs, spread = reference.counts[at]
                error = float(np.hypot(std / len(found) ** 0.5, spread / reference.draws**0.5))
                apart = f"{abs(mean - theirs) / error:.2f} standard errors" if error > 1e-9 else "the same as rounded"
                line += f"   reference {theirs:g} ± {spread:g}: {mean - theirs:+.3f}, {apart}"
            print(line)


if __name__ == "__main__":
    main()
