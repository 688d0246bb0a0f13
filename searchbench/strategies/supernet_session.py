"""The life of a supernet within a search: begun or restored, trained for as long as the budget affords, saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from searchbench.strategies.strategy import Lab, Scenario

if TYPE_CHECKING:
    from searchbench.spaces.networks import Supernet


class Trained(Protocol):
    """A supernet with all that learns beside it, and the state of both."""

    @property
    def supernet(self) -> Supernet: ...

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


T = TypeVar("T", bound=Trained)


class SupernetSession(Generic[T]):
    """What every search that trains a supernet does around its epochs, whatever it does within them.

    A search is made before it has a lab, and may be restored before it has one; so both wait until `begin`.

    Args:
        epochs: to train for; None: as many as `affordable` says, asked once, at the beginning.
        build: makes what is trained, from the replicate's seeds alone.
        affordable: epochs that the budget pays for.
        fallback: the scenario whose first random design that can learn is recommended when training begins, so that a
            budget that ends in it leaves something to judge; None where every epoch gives a design.
    """

    def __init__(
        self,
        epochs: int | None,
        build: Callable[[Lab], T],
        affordable: Callable[[Lab, T], int],
        fallback: Scenario | None = None,
    ) -> None:
        self.epochs = epochs
        self.epoch = 0
        """Epochs finished."""
        self._build, self._affordable, self._fallback = build, affordable, fallback
        self.trained: T | None = None
        """Made, and restored, by `begin`."""
        self._restored: Mapping[str, Any] | None = None

    def begin(self, lab: Lab) -> T:
        """What is trained, made when it is first asked for."""
        if self.trained is None:
            self.trained = self._build(lab)
            if self._restored is not None:
                self.trained.load_state_dict(dict(self._restored))
                self._restored = None
            elif self._fallback is not None:
                lab.recommend(self._fallback.space.sample_carrying(self._fallback.seeds.rng("init")))
            if self.epochs is None:  # after the restoring: prices may depend on what has been learnt
                self.epochs = self._affordable(lab, self.trained)
        return self.trained

    def exchange(self, trained: T) -> T:
        """Go on with another supernet, of a further stage of the search."""
        self.trained = trained
        return trained

    @property
    def length(self) -> int:
        """Epochs in all; known once the session has begun."""
        assert self.epochs is not None, "the session has not begun"
        return self.epochs

    @property
    def over(self) -> bool:
        """Whether every epoch is finished."""
        return self.epochs is not None and self.epoch >= self.epochs

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue; what was restored and not yet begun is passed on as it came."""
        trained = self._restored if self.trained is None else self.trained.state_dict()
        return {"epoch": self.epoch, "epochs": self.epochs, "trained": trained}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch, self.epochs = state["epoch"], state["epochs"]
        self.trained, self._restored = None, state["trained"]
