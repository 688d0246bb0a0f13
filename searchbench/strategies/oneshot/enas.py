"""ENAS: a controller learns which paths of a supernet are good while their weights are trained."""

from __future__ import annotations

from dataclasses import dataclass, field

from searchbench.errors import StudyError
from searchbench.strategies.oneshot.rewards import Accuracy, InversePerplexity, Reward
from searchbench.strategies.reinforce import too_many_values
from searchbench.strategies.strategy import Scenario, TrainingSearch
from searchbench.strategies.supernet import SupernetTraining, language_training

PUBLISHED_RATIO = 128_000 / 45_000
"""Images that the published controller phase reads, per training image."""


@dataclass(frozen=True, slots=True)
class Enas:
    """Epoch by epoch: train the weights on paths that the controller draws; then hold them and let the controller
    follow the policy gradient of a reward on validation minibatches. At the end, the best of `candidates` draws on
    one validation minibatch is handed over.

    R = reward + entropy H;  b <- decay b + (1 - decay) R;  theta descends
    mean over `aggregate` draws of -(R - b) log P(a) + skip_weight KL(P(skip) || .4)

    Args:
        weights: how the supernet's weights are trained.
        steps: updates of the controller per epoch; None: as many as keep the published proportion of 128,000
            validation images to 45,000 training images.
        aggregate: draws per update.
        lr: of Adam.
        adam: its beta1 and eps.
        entropy: weight in the reward.
        decay: of the baseline.
        baseline: where it begins; None: at the first reward.
        skip_weight: of the penalty on the rate of skips, where there are any.
        candidates: draws at the end.
        reward: of a draw on a minibatch.

    Raises:
        StudyError: a value is out of range.

    Source: Pham et al. 2018, "Efficient Neural Architecture Search via Parameter Sharing", and the released code;
        `candidates` of NAS-Bench-201 (Dong & Yang 2020).
    Differs: one controller learning rate for all spaces; optimiser settings of the weights are NAS-Bench-201's; no
        auxiliary head, no drop-path; batch norms use the statistics of the minibatch in the controller's phase, and
        keep their own as they are; language models drop nothing there.
    """

    weights: SupernetTraining = field(default_factory=SupernetTraining)
    steps: int | None = None
    aggregate: int = 20
    lr: float = 1e-3
    entropy: float = 1e-4
    decay: float = 0.99
    skip_weight: float = 0.8
    candidates: int = 100
    reward: Reward = field(default_factory=Accuracy)
    adam: tuple[float, float] = field(default=(0.0, 1e-3), metadata={"described": "unless default"})
    baseline: float | None = field(default=None, metadata={"described": "unless default"})

    def __post_init__(self) -> None:
        for name in ("aggregate", "candidates", *(["steps"] if self.steps is not None else [])):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise StudyError(f"`{name}` must be a positive integer, but got {value!r}.")
        if not self.lr > 0:
            raise StudyError(f"`lr` must be positive, but got {self.lr!r}.")
        if not 0 <= self.decay < 1:
            raise StudyError(f"`decay` must lie in [0, 1), but got {self.decay!r}.")
        for name in ("entropy", "skip_weight"):
            if getattr(self, name) < 0:
                raise StudyError(f"`{name}` must not be negative, but got {getattr(self, name)!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        return (
            self.reward.unsupported(scenario.space) or self.weights.unsupported(scenario) or too_many_values(scenario)
        )

    def start(self, scenario: Scenario) -> TrainingSearch:
        from searchbench.strategies.oneshot.enas_search import EnasSearch

        return EnasSearch(self, scenario)


def enas(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    controller_lr: float = 1e-3,
    steps: int | None = None,
    aggregate: int = 20,
    candidates: int = 100,
) -> Enas:
    """ENAS, see `Enas`; its controller is the space's own on `enas-macro` and `enas-micro`, an LSTM with a softmax per
    decision elsewhere.

    Args:
        epochs: of both phases; None takes all that the budget affords.
        batch_size: of training, reward and the final choice.
        lr: of the weights, at first; falls to 0.001 along a cosine.
        controller_lr, steps, aggregate, candidates: see `Enas`.

    Raises:
        StudyError: a value is out of range.

    Source: Pham et al. 2018.
    Differs: as `Enas`.
    """
    weights = SupernetTraining(epochs=epochs, batch_size=batch_size, lr=lr, lr_final=min(lr, 0.001))
    return Enas(weights, steps, aggregate, controller_lr, candidates=candidates)


def enas_recurrent(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 20.0,
    clip: float = 0.25,
    weight_decay: float = 5e-7,
    controller_lr: float = 5e-5,
    steps: int | None = 25,
    aggregate: int = 10,
    candidates: int = 100,
    scale: float = 80.0,
) -> Enas:
    """ENAS for recurrent cells: the reward is scale / perplexity of a validation passage, weights descend as those of
    language models do. The controller is that of recurrent cells on `enas-rnn`.

    Args:
        epochs: of both phases; None takes all that the budget affords.
        batch_size: streams of training, reward and the final choice.
        lr, clip, weight_decay: of the weights, SGD without momentum at a constant rate.
        controller_lr, steps, aggregate, candidates: see `Enas`; 25 x 10 draws an epoch are published.
        scale: c of the reward.

    Raises:
        StudyError: a value is out of range.

    Source: Pham et al. 2018, section 3.1, and the corrected code (google-research, enas_lm), whose settings of the
        controller these are: Adam as it comes, baseline from 0 with decay .999, entropy weight 1e-5.
    Differs: as `Enas`; the weights' settings are those of DARTS's search for recurrent cells.
    """
    weights = language_training(epochs, batch_size, lr, clip, weight_decay)
    return Enas(
        weights,
        steps,
        aggregate,
        controller_lr,
        entropy=1e-5,
        decay=0.999,
        candidates=candidates,
        reward=InversePerplexity(scale),
        adam=(0.9, 1e-8),
        baseline=0.0,
    )
