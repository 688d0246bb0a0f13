"""Running totals of what a run has spent, and the check that comes before every charge."""

from __future__ import annotations

from searchbench.cost import BUDGET_AXES, Budget, Cost
from searchbench.errors import BudgetExhausted


class Ledger:
    """Mutable totals of one run; plain attributes, because it is touched on every trial."""

    __slots__ = (
        "_limits",
        "budget",
        "device_s",
        "epochs",
        "evaluations",
        "host_s",
        "inference_samples",
        "macs",
        "peak_memory_bytes",
        "simulated_s",
        "train_samples",
    )

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._limits = tuple((axis, limit * (1 + 1e-12)) for axis, limit in budget.limits.items())
        self.evaluations = self.train_samples = self.inference_samples = self.macs = 0
        self.peak_memory_bytes = 0
        self.epochs = self.device_s = self.host_s = self.simulated_s = 0.0

    def check(self, price: Cost) -> None:
        """Raise BudgetExhausted if charging `price` would exceed a limit. Nothing is charged."""
        for axis, limit in self._limits:
            if getattr(self, axis) + getattr(price, axis) > limit:
                raise BudgetExhausted(
                    f"the next charge would bring `{axis}` to {getattr(self, axis) + getattr(price, axis):,.6g}, "
                    f"over the budget of {self.budget.limits[axis]:,.6g}."
                )

    def too_late(self, cost: Cost) -> bool:
        """Whether real seconds, which no price foretells, have gone over their limit with this cost.

        What ends too late counts as a failure, so that no search profits from seconds it did not have.
        """
        limit = self.budget.seconds
        return limit is not None and self.seconds + cost.seconds > limit * (1 + 1e-12)

    def charge(self, cost: Cost) -> None:
        """Add a cost."""
        self.evaluations += cost.evaluations
        self.epochs += cost.epochs
        self.train_samples += cost.train_samples
        self.inference_samples += cost.inference_samples
        self.macs += cost.macs
        self.device_s += cost.device_s
        self.host_s += cost.host_s
        self.simulated_s += cost.simulated_s
        self.peak_memory_bytes = max(self.peak_memory_bytes, cost.peak_memory_bytes)

    def refund(self, cost: Cost) -> None:
        """Take a cost back that was charged."""
        self.evaluations -= cost.evaluations
        self.epochs -= cost.epochs
        self.train_samples -= cost.train_samples
        self.inference_samples -= cost.inference_samples
        self.macs -= cost.macs
        self.device_s -= cost.device_s
        self.host_s -= cost.host_s
        self.simulated_s -= cost.simulated_s

    @property
    def samples(self) -> int:
        return self.train_samples + self.inference_samples

    @property
    def seconds(self) -> float:
        return self.device_s + self.simulated_s

    def left(self) -> dict[str, float]:
        """What remains on each limited axis."""
        return {axis: limit - getattr(self, axis) for axis, limit in self.budget.limits.items()}

    def affordable(self, price: Cost) -> int:
        """How many charges of `price` still fit; 0 where none does, a billion where it is free."""
        fits = 10**9
        for axis in BUDGET_AXES:
            limit = self.budget.limits.get(axis)
            each = getattr(price, axis)
            if limit is not None and each > 0:
                fits = min(fits, int((limit * (1 + 1e-12) - getattr(self, axis)) // each))
        return max(fits, 0)

    def total(self) -> Cost:
        """The totals as a Cost."""
        return Cost(
            self.evaluations,
            self.epochs,
            self.train_samples,
            self.inference_samples,
            self.macs,
            self.device_s,
            self.host_s,
            self.simulated_s,
            self.peak_memory_bytes,
        )
