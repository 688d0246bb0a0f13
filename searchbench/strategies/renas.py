"""RENAS: evolution whose mutations a controller learns to make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchbench.errors import StudyError
from searchbench.strategies.evolution import RegularizedEvolution, WorstOfTournament
from searchbench.strategies.reinforce import too_many_values
from searchbench.strategies.strategy import Scenario

if TYPE_CHECKING:
    from searchbench.strategies.reinforced_mutation import Reinforcing


@dataclass(frozen=True, slots=True)
class Reinforced:
    """A controller reads the parent and says which decision is changed, and to what; it follows the policy gradient of
    what the children are worth.

    h = a bidirectional LSTM over the embeddings of the parent's values
    P(where = i) = softmax_i v . tanh(W h_i), of the decisions that are active and have a choice
    P(what | i) = softmax(head_i(h_i)) over the values that the parent does not have there
    theta follows mean over `batch` children of (R - b) grad log P,  R = tan(accuracy pi / 2)
    b <- decay b + (1 - decay) mean R, from earlier batches (the first takes its own mean)

    A gradient is taken at the parameters that drew the child, however many results have come in since.

    Args:
        units: of each direction of the LSTM, and of the embeddings.
        learning_rate: of Adam.
        batch: results per update.
        decay: of the baseline.
        entropy: weight of the entropy of where and what.

    Raises:
        StudyError: a value is out of range.

    Source: Chen et al. 2019, "RENAS: reinforced evolutionary neural architecture search", section 3.3.
    Differs: one decision of whatever space is changed, where the paper changes an input or an operation of a cell;
        settings are ours, as the released code trains the network that was found and holds no search; accuracies
        above .999 count as that, and values that are no errors are rewarded with their negatives.
    """

    units: int = 32
    learning_rate: float = 3e-3
    batch: int = 5
    decay: float = 0.9
    entropy: float = 1e-3

    def __post_init__(self) -> None:
        if self.units < 1 or self.batch < 1 or not self.learning_rate > 0 or self.entropy < 0:
            raise StudyError(f"counts and `learning_rate` must be positive, `entropy` not negative, but got {self!r}.")
        if not 0 <= self.decay < 1:
            raise StudyError(f"`decay` must lie in [0, 1), but got {self.decay!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        return too_many_values(scenario)

    def start(self, scenario: Scenario) -> Reinforcing:
        from searchbench.strategies.reinforced_mutation import Reinforcing

        return Reinforcing(self, scenario)


def renas(
    population: int = 20,
    sample: int = 5,
    units: int = 32,
    learning_rate: float = 3e-3,
    batch: int = 5,
    decay: float = 0.9,
    entropy: float = 1e-3,
) -> RegularizedEvolution:
    """Evolution by tournaments, of which the best is the parent and the worst dies; a controller mutates the parent,
    and learns from what its children are worth.

    Args:
        population, sample: see `RegularizedEvolution`.
        units, learning_rate, batch, decay, entropy: see `Reinforced`.

    Raises:
        StudyError: a value is out of range.

    Source: Chen et al. 2019, "RENAS: reinforced evolutionary neural architecture search", Algorithm 1.
    Differs: as `Reinforced`; children do not inherit weights, as every evaluation is of one architecture alone.
    """
    mutation = Reinforced(units, learning_rate, batch, decay, entropy)
    return RegularizedEvolution(population, sample, WorstOfTournament(), mutation=mutation)
