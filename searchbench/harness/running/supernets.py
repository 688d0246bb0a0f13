"""Training supernets in one run: data in this replicate's order, and steps that are charged before they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from searchbench.cost import Cost
from searchbench.errors import SpaceError
from searchbench.harness.running.account import Account
from searchbench.seeds import Seeds
from searchbench.strategies.strategy import Loss, SplitName
from searchbench.tasks.task import Batch

if TYPE_CHECKING:
    import torch

    from searchbench.estimators.bench import Bench
    from searchbench.estimators.estimator import Estimator, InheritedScore
    from searchbench.spaces.networks import Active, Supernet
    from searchbench.spaces.topology import Form


class Supernets:
    """The supernet side of a run's lab. What each method does is said by `searchbench.strategies.strategy.Lab`.

    Args:
        seeds: of the replicate.
        account: charged for every step.
        bench: the run's data and device; None where the problem's estimator does not train.
    """

    def __init__(self, seeds: Seeds, account: Account, bench: Bench | None) -> None:
        self._seeds, self._account, self._bench = seeds, account, bench
        self._epoch: dict[SplitName, int] = {"train": 0, "valid": 0}
        self.handed = self.used = 0
        """Samples that the search was handed, and those that it paid to compute on."""

    @property
    def bench(self) -> Bench:
        if self._bench is None:
            raise SpaceError("this problem's estimator looks values up; there is no data to train a supernet on.")
        return self._bench

    def samples(self, split: SplitName) -> int:
        return self.bench.samples(split)

    def price(self, supernet: Supernet, active: Active, train: int = 0, infer: int = 0) -> Cost:
        macs = supernet.macs(active)
        return Cost(
            epochs=self.bench.epochs(train),
            train_samples=train,
            inference_samples=infer,
            macs=macs * (3 * train + infer),  # a backward pass costs about two forward passes
        )

    def supernet(self, form: Form | None = None, key: str = "") -> Supernet:
        seed = self._seeds.torch_seed("supernet", key)
        return self.bench.supernet(seed) if form is None else self.bench.supernet(seed, form)

    def sizes(self, split: SplitName, batch_size: int, share: tuple[float, float] = (0.0, 1.0)) -> list[int]:
        return self.bench.sizes(split, batch_size, self._order(split), share)

    def batches(self, split: SplitName, batch_size: int, share: tuple[float, float] = (0.0, 1.0)) -> Iterator[Batch]:
        seed = self._order(split)
        self._epoch[split] += 1
        # a `map`, and not a generator, whose frame shows the whole of the split
        return map(self._hand, self.bench.batches(split, batch_size, seed, share))

    def _hand(self, batch: Batch) -> Batch:
        self.handed += len(batch)
        return batch

    def _order(self, split: SplitName) -> int:
        """The seed of the order of the next pass over a split."""
        return self._seeds.torch_seed("order", f"{split}|{self._epoch[split]}")

    def gradients(self, supernet: Supernet, batch: Batch, active: Active, loss: Loss | None = None) -> float:
        with self._account.charged(self.price(supernet, active, train=len(batch))):
            self.used += len(batch)
            return self.bench.gradients(supernet, batch, active, loss)

    def hessian(
        self, supernet: Supernet, batch: Batch, active: Active, of: torch.Tensor, loss: Loss | None = None
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        with self._account.charged(self.price(supernet, active, train=len(batch))):
            self.used += len(batch)
            product = self.bench.hessian(supernet, batch, active, of, loss)

        def charged(direction: torch.Tensor) -> torch.Tensor:
            with self._account.charged(self.price(supernet, active, train=2 * len(batch))):
                return product(direction)

        return charged

    def step(
        self,
        supernet: Supernet,
        batch: Batch,
        active: Active,
        optimizer: torch.optim.Optimizer,
        loss: Loss | None = None,
        clip: float | None = None,
    ) -> float:
        optimizer.zero_grad(set_to_none=True)
        value = self.gradients(supernet, batch, active, loss)
        self.bench.update(optimizer, clip, batch.rate)
        return value

    def infer(self, supernet: Supernet, batch: Batch, active: Active) -> torch.Tensor:
        with self._account.charged(self.price(supernet, active, infer=len(batch))):
            self.used += len(batch)
            return self.bench.infer(supernet, batch, active)

    def inherited(
        self, supernet: Supernet, batch_size: int, recalibrate: int | None, score: InheritedScore | None = "error"
    ) -> Estimator:
        seed = self._seeds.torch_seed("order", "recalibrate")
        return self.bench.inherited(supernet, batch_size, recalibrate, seed, score)

    def state_dict(self) -> dict[str, int]:
        return {"train": self._epoch["train"], "valid": self._epoch["valid"], "handed": self.handed, "used": self.used}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self._epoch = {"train": state["train"], "valid": state["valid"]}
        self.handed, self.used = state.get("handed", 0), state.get("used", 0)
