"""The loop of one-shot search: epochs of supernet training, then rounds of search over inherited weights."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from itertools import islice
from operator import add
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from searchbench.cost import Cost
from searchbench.errors import StudyError
from searchbench.estimators.estimator import Estimator
from searchbench.estimators.training import update
from searchbench.spaces.networks import Path, Supernet
from searchbench.spaces.space import Architecture
from searchbench.strategies.noted import Noted
from searchbench.strategies.oneshot.composition import Closing, OneShot, scored
from searchbench.strategies.oneshot.revising import AmongKept, Reviser, Revising, Revision
from searchbench.strategies.oneshot.samplers import Attending, Draw, Phased, extremes
from searchbench.strategies.oneshot.several import Several
from searchbench.strategies.optional import Recommending
from searchbench.strategies.sample import Listed
from searchbench.strategies.strategy import AskTellSearch, Lab, Scenario
from searchbench.strategies.supernet import SupernetTraining, epochs_within, mean_price
from searchbench.strategies.supernet_session import SupernetSession
from searchbench.tasks.task import Batch
from searchbench.trial import FULL, Proposal, Trial, better

ROUND = 50
"""Scores per slice of the search, after which a checkpoint may be taken."""

LOOKED = 0.2
"""Share of what is left that looks at gradients may take."""
DRAWS = 256
"""Updates drawn to estimate the mean price of one."""


@dataclass(slots=True, eq=False)
class Weights:
    """The supernet and what trains it."""

    supernet: Supernet
    training: SupernetTraining
    optimizer: torch.optim.Optimizer
    draw: Draw
    rng: np.random.Generator
    """Of the draws."""
    reviser: Reviser | None = None
    """What learns which paths to train, where the sampler has it."""
    phase: int = 0
    teacher: Supernet | None = None
    """The supernet as it was when its largest path became a teacher."""

    def state_dict(self) -> dict[str, Any]:
        several = self.supernet.decisions if isinstance(self.supernet, Several) else ()
        return {
            "several": several,
            "phase": self.phase,
            "teacher": None if self.teacher is None else cast(nn.Module, self.teacher).state_dict(),
            "reviser": None if self.reviser is None else self.reviser.state_dict(),
            "supernet": cast(nn.Module, self.supernet).state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
        }

    def split(self, decisions: tuple[int, ...]) -> None:
        """Put several supernets in the place of this one, with a fresh optimiser; once."""
        if isinstance(self.supernet, Several):
            return
        self.supernet = Several(self.supernet, decisions)
        self.optimizer = self.training.optimizer(self.supernet.parameters())

    def reach(self, sampler: Phased, phase: int) -> None:
        """Enter every phase up to one, in turn."""
        while self.phase < phase:
            self.phase += 1
            if self.teacher is None and sampler.tutored(self.phase):
                self.teacher = copy.deepcopy(self.supernet)
            sampler.enter(self.phase, self.supernet)
            rates = [group["lr"] for group in self.optimizer.param_groups]
            self.optimizer = self.training.optimizer(cast(nn.Module, self.supernet).parameters())
            for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state.get("several"):
            self.split(state["several"])
        self.phase = state.get("phase", 0)
        if state.get("teacher") is not None:
            self.teacher = copy.deepcopy(self.supernet)
            cast(nn.Module, self.teacher).load_state_dict(state["teacher"])
        if self.reviser is not None:
            self.reviser.load_state_dict(state["reviser"])
        cast(nn.Module, self.supernet).load_state_dict(state["supernet"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]


UNSAVED: Any = "begins anew"
"""In the place of a search that cannot be saved."""


@dataclass(slots=True, eq=False)
class Watched:
    """A finder's search, watched: what was best so far, and whether it has nothing more to ask."""

    search: AskTellSearch
    best: tuple[float, Architecture] | None = None
    exhausted: bool = False
    values: dict[Architecture, float] = field(default_factory=dict)
    """Latest score of each architecture."""
    heard: list[Trial | None] = field(default_factory=list)
    """What it was told, and None for each question, in order."""

    def saved(self) -> bytes:
        """All of it; of a search that holds what cannot be saved, such as a generator or a library's closures, what it
        heard."""
        try:
            return pickle.dumps(self)
        except (AttributeError, TypeError, pickle.PicklingError):
            return pickle.dumps(replace(self, search=UNSAVED))

    @staticmethod
    def restored(saved: bytes, start: Callable[[], AskTellSearch]) -> Watched:
        """What was saved. A search that could not be begins anew, and is asked and told what it was: it is a function
        of that and its seeds."""
        watched: Watched = pickle.loads(saved)
        if watched.search == UNSAVED:
            watched.search = start()
            for trial in watched.heard:
                if trial is None:
                    watched.search.ask()
                else:
                    watched.search.tell(trial)
        return watched

    def ask(self) -> Proposal | None:
        self.heard.append(None)
        proposal = self.search.ask()
        self.exhausted = proposal is None
        return proposal

    def tell(self, trial: Trial) -> None:
        self.heard.append(trial)
        self.search.tell(trial)
        self.values[trial.architecture] = trial.value
        if better(trial.value, self.best[0] if self.best else float("nan")):
            self.best = trial.value, trial.architecture

    def choice(self) -> tuple[Architecture, float] | None:
        """The search's own choice if it makes one, else the best scored. What cannot learn gives way to the best scored
        that can: chance alone ranks it high. None where nothing that can is scored."""
        if self.best is None:
            return None
        own = self.search.recommend() if isinstance(self.search, Recommending) else self.best[1]
        if own.space.carrying(own):
            return own, self.values[own]
        able = {a: value for a, value in self.values.items() if a.space.carrying(a) and not math.isnan(value)}
        if not able:
            return None
        best = min(able, key=able.__getitem__)
        return best, self.values[best]


class OneShotSearch:
    """The live search. A slice is an epoch of training, a round of scores, or a retraining."""

    def __init__(self, settings: OneShot, scenario: Scenario) -> None:
        self._settings, self._scenario = settings, scenario
        self._session = SupernetSession(settings.weights.epochs, self._new_weights, self._affordable, fallback=scenario)
        self._finding: Watched | None = None
        self._contest: Watched | None = None
        self._kept_back: int | None = None
        """Retrainings that the budget affords once the supernet is trained, `retrain` at most."""
        self._next_batch: Batch | None = None
        self._scorer: Estimator | None = None
        """Over the trained supernet; it remembers scores."""

    @property
    def done(self) -> bool:
        if self._finding is None or not self._finding.exhausted:
            return False
        return not self._settings.retrain or (self._contest is not None and self._contest.exhausted)

    def advance(self, lab: Lab) -> None:
        """One slice. The best so far is recommended, also when the budget ends."""
        # one kind of work a slice, so that a checkpoint may be taken between any two
        weights = self._session.begin(lab)
        if self._finding is None and weights.reviser is not None:
            self._revise(lab, weights, weights.reviser)
        if not self._session.over:
            noted = self._train(lab, weights)
            self._session.epoch += 1
            lab.log(epoch=self._session.epoch, **noted.means("train"))
            return
        if self._finding is None:
            # started late, and on a scenario whose evaluations are scores: to it, this is a search like any other
            self._finding = Watched(self._second_half(weights))
        if not self._finding.exhausted:
            try:
                self._find(lab, weights.supernet, self._finding)
            # also when the budget ends within: what was scored so far counts
            finally:
                self._recommend(lab, self._finding)
        elif not self.done:
            self._retrain(lab, self._finding)

    def _second_half(self, weights: Weights) -> AskTellSearch:
        finder = self._settings.finder
        if isinstance(finder, AmongKept):
            assert weights.reviser is not None, "unsupported() refuses samplers that keep none"
            return finder.among([weights.supernet.architecture(path) for path in weights.reviser.kept()])
        return self._searched()

    def _searched(self) -> AskTellSearch:
        finder = self._settings.finder
        assert not isinstance(finder, AmongKept), "a list of what was kept is saved as it is"
        search = finder.start(scored(self._scenario))
        assert isinstance(search, AskTellSearch), "unsupported() refuses the others"
        return search

    def state_dict(self) -> dict[str, Any]:
        return {
            "session": self._session.state_dict(),
            "contest": None if self._contest is None else self._contest.saved(),
            "kept_back": self._kept_back,
            "finding": None if self._finding is None else self._finding.saved(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._session.load_state_dict(state["session"])
        self._scorer = None
        finding, contest = state["finding"], state["contest"]
        self._finding = None if finding is None else Watched.restored(finding, self._searched)
        self._contest = None if contest is None else Watched.restored(contest, self._searched)
        self._kept_back = state["kept_back"]

    # -- training ------------------------------------------------------------------------------------------------

    def _new_weights(self, lab: Lab) -> Weights:
        supernet = lab.supernet()
        optimizer = self._settings.weights.optimizer(cast(nn.Module, supernet).parameters())
        sampler, reviser = self._settings.sampler, None
        if isinstance(sampler, Revising):
            reviser = sampler.reviser(supernet)
            draw: Draw = reviser.draw
        elif isinstance(sampler, Attending):
            draw = sampler.attending(supernet, partial(self._score, lab, supernet))
        else:
            draw = sampler.over(supernet)
        rng = self._scenario.seeds.rng("search", "paths")
        return Weights(supernet, self._settings.weights, optimizer, draw, rng, reviser)

    def _score(self, lab: Lab, supernet: Supernet, path: tuple[int, ...]) -> float:
        """The loss of a path on the minibatch that is learnt next."""
        batch = self._next_batch
        if batch is None:  # the pass is over, and what is drawn now is not trained
            return 0.0
        return float(F.cross_entropy(lab.infer(supernet, batch, path), batch.targets))

    def _affordable(self, lab: Lab, weights: Weights) -> int:
        """Epochs that leave the share of the budget for scores, at the mean price of an update drawn by the sampler."""
        supernet = weights.supernet
        rng = self._scenario.seeds.rng("search", "prices")
        draw = self._settings.sampler.over(supernet)
        # over the whole of an epoch, for a sampler may change as it goes on; from a stream of its own, so that pricing
        # moves no draw of the training
        rounds = [draw(rng, at / DRAWS) for at in range(DRAWS)]
        sizes = lab.sizes("train", self._settings.weights.batch_size)
        per_round = 1 if self._settings.teaching.shared else len(rounds[0])
        # minibatches that would be left over from the last round are not trained, and not paid for
        used = sum(sizes[: len(sizes) // per_round * per_round]) or sizes[0]
        seen = used * sum(map(len, rounds)) // (len(rounds) * per_round)  # by all paths together
        epoch = mean_price(lab.price(supernet, path, train=seen) for paths in rounds for path in paths)
        if isinstance(self._settings.sampler, Attending):
            looked = used // per_round * self._settings.sampler.looks
            epoch += mean_price(lab.price(supernet, path, infer=looked) for paths in rounds for path in paths)
        sampler = self._settings.sampler
        if isinstance(sampler, Phased):
            taught = sum(sampler.tutored(sampler.phase(supernet, at / DRAWS)) for at in range(DRAWS))
            epoch += lab.price(supernet, extremes(supernet)[0], infer=used * taught // DRAWS)
        path = tuple(rng.integers(supernet.options).tolist())
        # without one score, the training would have been for nothing
        score = self._estimator(lab, supernet).price(supernet.architecture(path), FULL)
        besides = Cost()
        if weights.reviser is not None:
            some = [tuple(rng.integers(supernet.options).tolist()) for _ in range(DRAWS)]
            mean = mean_price(self._estimator(lab, supernet).price(supernet.architecture(path), FULL) for path in some)
            epoch += _times(mean, weights.reviser.scores_an_epoch)
            besides = _times(mean, weights.reviser.scores) + _times(*self._looks(lab, weights, weights.reviser))
        return epochs_within(lab, epoch, self._settings.train_share, afterwards=score, besides=besides)

    def _looks(self, lab: Lab, weights: Weights, reviser: Reviser) -> tuple[Cost, int]:
        """The mean price of a look at a path's gradients, and how many are taken."""
        rng, supernet = self._scenario.seeds.rng("search", "looks"), weights.supernet
        some = [tuple(rng.integers(supernet.options).tolist()) for _ in range(DRAWS)]
        price = mean_price(lab.price(supernet, path, train=self._settings.weights.batch_size) for path in some)
        return price, reviser.looks(int(LOOKED * lab.affordable(price)))

    def _train(self, lab: Lab, weights: Weights) -> Noted:
        """One pass over the training split, each minibatch through a path that was drawn for it."""
        settings, split = self._settings.weights, self._settings.split
        if split is not None and split.due(self._session.epoch, self._session.length):
            weights.split(split.decisions)
        settings.set_rate(weights.optimizer, self._session.epoch, self._session.length)
        sizes = lab.sizes("train", settings.batch_size)
        batches, noted = lab.batches("train", settings.batch_size), Noted(self._scenario.space.reads)
        gone, taken = 0, 1
        # rounds and not minibatches: strict fairness trains every option once before any is trained twice; what is too
        # little for a round is not taken, for data that nobody paid to compute on is noted
        while taken := self._round(lab, weights, batches, noted, done=gone / len(sizes)):
            gone += taken
            if len(sizes) - gone < taken:
                batches = iter(())
        if not noted.losses:
            raise StudyError(
                f"a round of this sampler needs more minibatches than one pass has: {len(sizes)} of "
                f"{settings.batch_size} samples; lower `batch_size`."
            )
        return noted

    def _round(self, lab: Lab, weights: Weights, batches: Iterator[Batch], noted: Noted, done: float = 0.0) -> int:
        """Train what is drawn. How many minibatches that took; 0 where the pass had too few left.

        Args:
            done: share of the pass that is over.
        """
        at, sampler = (self._session.epoch + done) / self._session.length, self._settings.sampler
        if isinstance(sampler, Phased):
            weights.reach(sampler, sampler.phase(weights.supernet, at))
        first = self._next_batch = next(batches, None)
        paths = weights.draw(weights.rng, at)
        teaching, wanted = self._settings.teaching, 1 if self._settings.teaching.shared else len(paths)
        taken = [] if first is None else [first, *islice(batches, wanted - 1)]
        if len(taken) < wanted:
            return 0
        known = None
        if weights.teacher is not None:
            known = lab.infer(weights.teacher, taken[0], extremes(weights.teacher)[0])
        lessons = teaching.lessons(taken, len(paths), known)
        for group in self._settings.grouping.groups(paths):
            weights.optimizer.zero_grad(set_to_none=True)  # what is not touched gets neither momentum nor decay
            for path, (batch, loss) in zip(group, lessons, strict=False):
                watched = noted.watching() if loss is None else noted.watching(loss)
                noted.losses.append(lab.gradients(weights.supernet, batch, path, watched))
            # one update for the whole group: the gradients of its paths add up first
            update(weights.optimizer, self._settings.weights.clip, batch.rate)
        return wanted

    def _revise(self, lab: Lab, weights: Weights, reviser: Reviser) -> None:
        """What the sampler learns before the next epoch, or at the end of the last."""
        if not reviser.due(self._session.epoch, self._session.length):
            return
        supernet, best = weights.supernet, Watched(Listed([]))

        def scored(paths: Sequence[Path]) -> list[Trial]:
            estimator = self._estimator(lab, supernet)
            found: list[Trial] = []
            for path in paths:
                best.search = Listed([supernet.architecture(path)])
                trial = lab.explore(best, estimator, trials=1)
                assert trial is not None, "one was asked for"
                found.append(trial)
            return found

        def salient(paths: Sequence[Path]) -> list[float]:
            [batch] = islice(lab.batches("train", self._settings.weights.batch_size), 1)
            found = []
            for path in paths:
                weights.optimizer.zero_grad(set_to_none=True)
                lab.gradients(supernet, batch, path)
                gradients = [w.grad for w in cast(nn.Module, supernet).parameters() if w.grad is not None]
                found.append(float(torch.stack([gradient.abs().sum() for gradient in gradients]).sum()))
            weights.optimizer.zero_grad(set_to_none=True)
            return found

        try:
            looks = self._looks(lab, weights, reviser)[1]
            reviser.revise(Revision(self._session.epoch, self._session.length, weights.rng, scored, salient, looks))
        finally:
            choice = best.choice()
            if choice is not None:
                lab.recommend(*choice)

    # -- searching -----------------------------------------------------------------------------------------------

    def _find(self, lab: Lab, supernet: Supernet, finding: Watched) -> None:
        # kept for the whole search, as its scores are; a checkpoint drops it, for the same scores come again
        if self._scorer is None:
            self._scorer = self._estimator(lab, supernet)
        estimator = self._scorer
        any_design = self._scenario.space.sample(self._scenario.seeds.rng("init"))
        one_score = estimator.price(any_design, FULL)
        if self._kept_back is None:
            # decided before the first score, lest the scores eat what the retrainings need
            self._kept_back = self._affordable_retrainings(lab, any_design)
        for _ in range(ROUND):
            if isinstance(finding.search, Closing) and _must_close(lab, estimator, finding.search):
                finding.search.close()
            if self._kept_back and lab.affordable(_times(lab.full_price(any_design), self._kept_back) + one_score) < 1:
                finding.exhausted = finding.best is not None
            if not finding.exhausted:
                lab.explore(finding, estimator, trials=1)
            if finding.exhausted:
                break

    def _affordable_retrainings(self, lab: Lab, any_design: Architecture) -> int:
        wanted = self._settings.retrain
        return min(wanted, int(lab.affordable(lab.full_price(any_design)))) if wanted else 0

    def _retrain(self, lab: Lab, finding: Watched) -> None:
        """One evaluation of the next best scored; the best of them so far is recommended."""
        if self._contest is None:
            # what cannot learn, or could not be scored, comes last, and only where nothing else is left
            scores = finding.values
            ranked = sorted(scores, key=lambda a: (not a.space.carrying(a), math.isnan(scores[a]), scores[a]))
            self._contest = Watched(Listed(ranked[: self._settings.retrain]))
        try:
            lab.explore(self._contest, trials=1)
        finally:
            self._recommend(lab, self._contest)

    def _estimator(self, lab: Lab, supernet: Supernet) -> Estimator:
        how = self._settings.recalibration
        return lab.inherited(supernet, how.batch_size, how.batches, self._settings.score)

    def _recommend(self, lab: Lab, finding: Watched) -> None:
        choice = finding.choice()
        if choice is not None:
            lab.recommend(*choice)
            lab.log(scored=len(finding.values), best=choice[1])


def _times(price: Cost, number: int) -> Cost:
    return reduce(add, [price] * number, Cost())


def _must_close(lab: Lab, estimator: Estimator, search: Closing) -> bool:
    """Whether one more score, as dear as the dearest kept back, could leave too little for those."""
    prices = [estimator.price(p.architecture, estimator.complete(p.fidelity)) for p in search.closing()]
    if not prices:
        return False
    dearest = max(prices, key=lambda price: price.macs)
    return lab.affordable(reduce(add, prices, Cost()) + dearest) < 1
