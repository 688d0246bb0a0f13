"""What the DARTS-PRIME paper's own printed numbers support: a recomputation from its mean ± std over 4 searches.

    python examples/published_darts_prime.py

The paper says that DARTS-PRIME "consistently and significantly outperforms DARTS". Per-seed values are not printed,
so the seeds are treated as unpaired and the std as ddof = 1.
"""

from __future__ import annotations

from searchbench import statistics as st
from searchbench.statistics import published

COMPARISONS = (("CIFAR-10", "test"), ("CIFAR-100", "test"), ("PTB", "valid"), ("PTB", "test"))
BASE, METHOD = "DARTS (our trials)", "DARTS-PRIME"


def welch_tests() -> dict[tuple[str, str], st.Answer]:
    """DARTS against DARTS-PRIME on each printed task and split."""
    return {
        (task, split): st.welch(
            published.summary(task, BASE, split=split), published.summary(task, METHOD, split=split), better="lower"
        )
        for task, split in COMPARISONS
    }


def best_of_four() -> st.Answer:
    """Where the best of 4 searches of plain DARTS is expected on CIFAR-10."""
    darts = published.summary("CIFAR-10", BASE)
    return st.best_of_k(darts.mean, darts.std, 4, better="lower")


def power() -> st.Answer:
    """Power the paper had for its own CIFAR-10 difference, and the seeds 80 % would have taken."""
    a, b = published.summary("CIFAR-10", BASE), published.summary("CIFAR-10", METHOD)
    return st.achieved(a.mean - b.mean, a.std, b.std, a.n)


def ablation(task: str) -> st.Factorial:
    """FIMT x PR as a 2 x 2 factorial on one task."""
    named = {
        frozenset(): BASE,
        frozenset({"FIMT"}): "+FIMT",
        frozenset({"PR"}): "+PR",
        frozenset({"FIMT", "PR"}): METHOD,
    }
    cells = {cell: published.summary(task, method) for cell, method in named.items()}
    return st.factorial(cells, ("FIMT", "PR"), paired_by_seed=False)


def main() -> None:
    """Print the recomputation."""
    print(f"{BASE} - {METHOD}, Welch over 4 searches each:")
    for (task, split), answer in welch_tests().items():
        print(f"  {task} {split}: p={answer.p:.4f}; {answer.wording}")
    print(f"Power on CIFAR-10: {power().wording}")
    print(f"Selection: {best_of_four().wording}; DARTS-PRIME's mean is 2.62")
    for task in ("CIFAR-10", "CIFAR-100"):
        print(f"FIMT x PR on {task}:")
        for answer in ablation(task).effects.values():
            print(f"  {answer.wording}")
    print("Shown beside measured rows, never ranked with them:")
    for block in st.blocks(published.rows("CIFAR-10")):
        shown = ", ".join(f"{row.name} {row.shown}" for row in block.rows)
        print(f"  [{block.key.protocol}, {block.key.space}] {shown}")


if __name__ == "__main__":
    main()
