"""The one loop of differentiable search: the only place that knows in which order the parts act."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import cycle
from math import ceil
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.cost import Cost
from searchbench.errors import BudgetExhausted
from searchbench.estimators.training import update
from searchbench.spaces.networks import Supernet
from searchbench.spaces.space import Architecture
from searchbench.spaces.topology import PLAIN, Topology
from searchbench.strategies.differentiable.composition import Differentiable
from searchbench.strategies.differentiable.connect import Chosen, Weights
from searchbench.strategies.differentiable.curvature import Vector
from searchbench.strategies.differentiable.decided import caveat, decided, margins
from searchbench.strategies.differentiable.discretise import path_of, skips_of
from searchbench.strategies.differentiable.finalists import Electing
from searchbench.strategies.differentiable.game import Game
from searchbench.strategies.differentiable.hypergradient import Thorough
from searchbench.strategies.differentiable.pace import LEAST_STEPS
from searchbench.strategies.differentiable.prune import (
    EpochPruning,
    Measure,
    Opening,
    Perturbing,
    StepPruning,
    stage_of,
)
from searchbench.strategies.differentiable.regularise import Remembering
from searchbench.strategies.differentiable.relaxation import Centred
from searchbench.strategies.differentiable.schedule import Watching
from searchbench.strategies.differentiable.split import Part
from searchbench.strategies.differentiable.stop import AsksCurvature, Report, StopDecision, acts, chance, reach
from searchbench.strategies.differentiable.turn import Moment
from searchbench.strategies.differentiable.widen import MoreChannels, widened
from searchbench.strategies.noted import Noted
from searchbench.strategies.strategy import Lab, Logged, Scenario
from searchbench.strategies.supernet import epochs_within, scaled
from searchbench.strategies.supernet_session import SupernetSession
from searchbench.tasks.task import Batch


@dataclass(slots=True)
class Progress:
    """How far a search is: plain values, saved as they are."""

    stage: int = 0
    stopped: bool = False
    paths: tuple[tuple[int, ...], ...] = ()
    """What each finished epoch derived."""
    stop_memory: Any = None
    decay: float = 1.0
    """Factor of the weights' decay."""
    logit_steps: int = 0
    """Steps of the logits so far."""
    margins: dict[int, tuple[float, float]] = field(default_factory=dict)
    """By decision the margin of its choice and its noise, in the last epoch that found it open."""
    settled: dict[int, tuple[float, ...]] = field(default_factory=dict)
    """By decision whose last choice was pruned away after an epoch, the weights by which it was: those of one survivor
    are 1 whatever it is, and say nothing of the edge."""


class DifferentiableSearch:
    """The live search. One slice is one epoch; what it would hand over is renewed after each."""

    def __init__(self, settings: Differentiable, scenario: Scenario) -> None:
        self._given, self._scenario = settings, scenario
        # a rule made for 50 epochs means something else in 5: what is given is kept, to be put to each length anew
        self._settings = settings  # at the pace of the epochs, once they are known
        topology = scenario.space.wiring
        assert topology is not None, "unsupported() refuses spaces without"
        self._topology: Topology = topology
        self._session = SupernetSession(
            settings.weights.epochs,
            build=lambda lab: self._new_game(lab, None),
            affordable=self._epochs_afforded,
        )
        self._progress = Progress(stop_memory=settings.stop.fresh())
        self._snapshots: dict[int, Any] = {}
        self._last_valid: Batch | None = None

    @property
    def done(self) -> bool:
        return self._progress.stopped or self._session.over

    def advance(self, lab: Lab) -> None:
        """One epoch. When the budget ends in it, what has been learnt so far is recommended."""
        game = self._begin(lab)
        try:
            self._train(game)
            epoch, verdict = self._ask_whether_to_stop(game)
        except BudgetExhausted:
            # an epoch that the budget cut short has taught the logits all the same
            decided = self._decided(game)
            lab.log(epoch=self._session.epoch + 1, **decided, **self._caveat(decided))
            lab.recommend(game.supernet.architecture(path_of(self._chosen(game), self._topology)))
            raise
        self._follow(game, verdict)
        lab.recommend(self._architecture(game))
        lab.log(**epoch)

    def foretold(self, lab: Lab) -> str:
        """What of the search cannot work within the budget, or works by chance; nothing is trained."""
        self._begin(lab)
        settings, length = self._settings, self._session.length
        steps = settings.logit_steps(length, self._batches(lab))
        by_chance = chance(settings.stop, settings.discretise, self._topology)
        few = f"its logits take about {steps:.0f} steps, fewer than {self._least}: its choice will be chance"
        early = f"the rule that stops it would act on undecided logits with probability {by_chance:.2g}"
        never = f"the rule that would stop it {reach(settings.stop, length)}"
        said = ((steps < self._least, few), (not acts(settings.stop, length), never), (by_chance >= 0.05, early))
        return "; ".join(text for true, text in said if true)

    @property
    def _least(self) -> int:
        """Steps of the logits below which its choice is chance."""
        how = self._given.hypergradient
        return how.least_steps if isinstance(how, Thorough) else LEAST_STEPS

    def leaves(self, lab: Lab) -> Supernet:
        """The supernet, as it was trained."""
        return self._session.begin(lab).supernet

    def state_dict(self) -> dict[str, Any]:
        return {"progress": self._progress, "session": self._session.state_dict(), "snapshots": self._snapshots}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._progress = copy.deepcopy(state["progress"])
        self._snapshots = dict(state["snapshots"])
        self._session.load_state_dict(state["session"])

    # -- before an epoch -----------------------------------------------------------------------------------------

    def _begin(self, lab: Lab) -> Game:
        """The game as it stands before an epoch: where a stage begins, a new one over what is not pruned."""
        game = self._session.begin(lab)
        game.lab = lab
        self._settings = self._given.at(self._session.length, self._batches(lab))
        stage = stage_of(self._settings.prune, self._session.epoch, self._session.length).number
        if stage != self._progress.stage:
            self._progress.stage = stage
            new = self._new_game(lab, game.mask)
            if isinstance(self._settings.prune, MoreChannels):
                self._carry_over(game, new)
            game = self._session.exchange(new)
        return game

    def _carry_over(self, game: Game, into: Game) -> None:
        """Go on in a wider supernet with what was learnt."""
        generator = torch.Generator().manual_seed(self._scenario.seeds.torch_seed("search", "widening"))
        old, new = (cast(nn.Module, each.supernet) for each in (game, into))
        new.load_state_dict(widened(old.state_dict(), new.state_dict(), generator))
        with torch.no_grad():
            into.alpha.copy_(game.alpha)
            if into.beta is not None and game.beta is not None:
                into.beta.copy_(game.beta)
        into.alpha_optimizer.load_state_dict(game.alpha_optimizer.state_dict())
        into.rng.set_state(game.rng.get_state())

    def _epochs_afforded(self, lab: Lab, game: Game) -> int:
        """Epochs, as many as fit with the settings that follow their number: the fewer epochs, the more steps of the
        logits in each."""
        # from the most that could fit, downwards: fewer epochs may mean dearer ones, so the answer is a fixed point
        epochs = epochs_within(lab, self._epoch_price(game, epochs=10**9))
        while True:
            self._settings = self._given.at(epochs, self._batches(lab))
            fewer = epochs_within(lab, self._epoch_price(game, epochs))
            if fewer >= epochs:
                return epochs
            epochs = fewer

    def _batches(self, lab: Lab) -> int:
        return len(self._sizes(lab, self._settings.split.w))

    def _new_game(self, lab: Lab, mask: Tensor | None) -> Game:
        settings, seeds, stage = self._settings, self._scenario.seeds, self._progress.stage
        key = f"stage {stage}" if stage else ""
        form = settings.form(stage)
        supernet = lab.supernet(None if form == PLAIN else form, key)
        weights = list(cast(nn.Module, supernet).parameters())
        device = weights[0].device
        if mask is None:
            mask = self._whole_mask(device)
        # drawn on the CPU, so that every device begins alike
        generator = torch.Generator().manual_seed(seeds.torch_seed("policy", "alpha" + key))
        alpha = self._first_logits(mask.cpu(), generator).to(device).requires_grad_()
        beta = 1e-3 * torch.randn(len(alpha), generator=generator) if settings.edges.weighs else None
        beta = None if beta is None else beta.to(device).requires_grad_()
        game = Game(
            lab=lab,
            supernet=supernet,
            topology=self._topology,
            relax=settings.relax,
            alpha=alpha,
            mask=mask,
            weights=weights,
            weight_optimizer=settings.weights.optimizer(weights),
            alpha_optimizer=settings.alphas.optimizer([alpha] if beta is None else [alpha, beta]),
            rng=torch.Generator().manual_seed(seeds.torch_seed("search", "relaxation" + key)),
            sampling=settings.edges,
            beta=beta,
            derive=settings.discretise,
            extras=settings.extras,
            regularise=settings.regularise,
            schedule_memory=settings.schedule.fresh() if isinstance(settings.schedule, Watching) else None,
        )
        game.memories = [part.fresh(game) if isinstance(part, Remembering) else None for part in settings.regularise]
        return game

    def _whole_mask(self, device: torch.device) -> Tensor:
        mask = torch.ones((len(self._topology.edges), len(self._topology.operations)), dtype=torch.bool, device=device)
        if not self._settings.relax.with_none and self._topology.none is not None:
            mask[:, self._topology.none] = False
        for edge, allowed in enumerate(self._topology.allowed or ()):
            mask[edge] &= torch.isin(torch.arange(mask.shape[1], device=device), torch.tensor(allowed, device=device))
        prune = self._settings.prune
        return prune.opening(mask, self._topology) if isinstance(prune, Opening) else mask

    def _first_logits(self, mask: Tensor, generator: torch.Generator) -> Tensor:
        alphas, relax = self._settings.alphas, self._settings.relax
        middles = [relax.centre(int(row.sum())) if isinstance(relax, Centred) else 0.0 for row in mask]
        centre = torch.tensor([[alphas.mean + middle] for middle in middles])
        return (centre + alphas.scale * torch.randn(mask.shape, generator=generator)) * mask

    def _epoch_price(self, game: Game, epochs: int = 1) -> Cost:
        """The price of an epoch as `_train` makes it, with its share of what is measured in all of `epochs`."""
        settings = self._settings
        train, valid = (self._sizes(game.lab, part) for part in (settings.split.w, settings.split.alpha))
        if settings.hypergradient.joint:
            return settings.hypergradient.price(game, sum(train), 0)
        price = game.price("w", train=sum(train))
        if settings.adversary is not None:
            price += settings.adversary.price(game, sum(train))
        # a pass has a step on every minibatch at most: its share of one
        share = settings.logit_steps(epochs, len(train)) / (epochs * len(train))
        for (one, other), times in Counter(zip(train, cycle(valid), strict=False)).items():
            price += scaled(settings.hypergradient.price(game, one, other), share * times)
        if isinstance(settings.stop, AsksCurvature):  # a Hessian is set up with one backward pass, a product takes two
            passes = (1 + 2 * settings.curvature.iterations) * settings.stop.checks(epochs) / epochs
            price += game.price("alpha", train=ceil(passes * max(valid)))
        if isinstance(settings.prune, Perturbing):
            looks = settings.prune.measurements(game.mask, self._topology) / epochs
            price += game.price("alpha", infer=ceil(looks * sum(valid)))
        if isinstance(settings.discretise, Electing):
            heaviest = tuple(int(op) for op in game.costs.argmax(1))
            price += game.lab.price(
                game.supernet, heaviest, infer=ceil(settings.discretise.draws * max(valid) / epochs)
            )
        return price

    def _sizes(self, lab: Lab, part: Part) -> list[int]:
        return lab.sizes(part[0], self._settings.weights.batch_size, part[1])

    # -- an epoch ------------------------------------------------------------------------------------------------

    def _train(self, game: Game) -> None:
        """One pass over the weights' data; the game notes what it sees."""
        settings, reads = self._settings, self._scenario.space.reads
        noted = {"w": Noted(reads), "alpha": Noted(reads)}
        game.noted = noted | ({"alpha": noted["w"]} if settings.hypergradient.joint else {})
        stage = stage_of(settings.prune, self._session.epoch, self._session.length)
        within = self._session.epoch - stage.first
        if isinstance(settings.prune, MoreChannels):
            self._set_rate(game, self._session.epoch, self._session.length)
        else:  # of the stage and not of the search: each trains a fresh supernet from its first rate to its last
            self._set_rate(game, within, stage.length)
        game.walk, game.opened = [], game.mask
        if settings.halt is not None:
            settings.halt.begin(game)
        batches = len(self._sizes(game.lab, settings.split.w))
        valid = self._endless(game.lab, settings.split.alpha)
        source, share = settings.split.w
        for at, drawn in enumerate(game.lab.batches(source, settings.weights.batch_size, share)):
            game.moment = Moment(within, stage.length, at, batches, stage.number)
            # once for both players: a virtual step and the real one must see the same pixels
            train = game.viewed(drawn)
            phases, game.schedule_memory = settings.schedule.steps(game.moment, game.schedule_memory)
            for phase in phases:
                if phase == "w":
                    noted["w"].losses.append(self._weight_step(game, train))
                elif phase == "alpha":
                    noted["alpha"].losses.append(self._alpha_step(game, train, game.viewed(next(valid))))
                else:
                    noted["w"].losses.append(self._alpha_step(game, train, None))
                    update(game.weight_optimizer, settings.weights.clip, train.rate)

    def _set_rate(self, game: Game, epoch: int, epochs: int) -> None:
        self._settings.weights.set_rate(game.weight_optimizer, epoch, epochs)
        for group in game.alpha_optimizer.param_groups:
            group["lr"] = self._settings.alphas.lr
        for group in game.weight_optimizer.param_groups:
            group["weight_decay"] = self._settings.weights.weight_decay * self._progress.decay

    def _weight_step(self, game: Game, train: Batch) -> float:
        schedule, mixture, adversary = self._settings.schedule, game.mixture("w"), self._settings.adversary
        # at the architecture's worst neighbour; its gradient is dropped below with the others'
        if adversary is not None:
            mixture = adversary.worst(game, train, mixture)
        game.weight_optimizer.zero_grad(set_to_none=True)
        loss = game.lab.gradients(game.supernet, train, mixture, game.noted["w"].watching())
        if isinstance(schedule, Watching) and schedule.watches:
            # before `update` clips: Fisher information is that of the gradient, not of the step
            game.schedule_memory = schedule.observe(game.schedule_memory, squared_norm(game.weights))
        halt = self._settings.halt
        if halt is not None:
            halt.hold(game)
        update(game.weight_optimizer, self._settings.weights.clip, train.rate)
        if halt is not None:
            halt.note(game)
        return loss

    def _alpha_step(self, game: Game, train: Batch, valid: Batch | None) -> float:
        # a projection, and a path's two-way rule, need to know where the step began
        before = game.alpha.detach().clone()
        game.alpha_optimizer.zero_grad(set_to_none=True)
        loss, mixture = self._settings.hypergradient.fill(game, train, valid)
        game.walk.append(before)  # not before: a budget that ends in a step leaves the logits where they were
        self._progress.logit_steps += 1
        if self._settings.halt is not None:
            self._settings.halt.compare(game)
        update(game.alpha_optimizer, self._settings.alphas.clip)
        game.after_alpha_step(before, mixture)
        if isinstance(self._settings.prune, StepPruning):
            weights, ahead = self._weights(game), self._settings.alphas.lr * self._steps_to_come(game.moment.batches)
            self._settle(game, self._settings.prune.after_step(game.alpha, game.mask, self._topology, ahead), weights)
        self._last_valid = valid
        return loss

    def _steps_to_come(self, batches: int) -> float:
        """Steps of the logits until the last epoch ends, about."""
        return max(0.0, self._settings.logit_steps(self._session.length, batches) - self._progress.logit_steps)

    def _settle(self, game: Game, kept: Tensor, weights: Weights) -> None:
        """Go on with what is kept, and remember the last weights that meant a choice: edges are ranked by them ever
        after; one of which nothing is kept weighs nothing."""
        if self._settings.relax.probabilities:
            before, after = game.mask.sum(1), kept.sum(1)
            for edge in ((before > 1) & (after <= 1)).nonzero().flatten().tolist():
                self._progress.settled[edge] = tuple(weights[edge].tolist())
            for edge in ((before > 0) & (after == 0)).nonzero().flatten().tolist():
                self._progress.settled[edge] = (0.0,) * kept.shape[1]
        game.mask = kept

    def _endless(self, lab: Lab, part: Part) -> Iterator[Batch]:
        """Minibatches of one pass after another."""
        source, share = part
        while True:
            yield from lab.batches(source, self._settings.weights.batch_size, share)

    # -- after it ------------------------------------------------------------------------------------------------

    def _ask_whether_to_stop(self, game: Game) -> tuple[dict[str, Logged], StopDecision]:
        """The epoch is over: prune, derive, and hear the rule. What is to be logged of it, and the verdict."""
        at, session, prune = self._progress, self._session, self._settings.prune
        losses = game.noted["w"].means("train")
        if not self._settings.hypergradient.joint:
            losses |= game.noted["alpha"].means("valid")
        weights, decided = self._weights(game), self._decided(game)
        now = game.mask, session.epoch, session.length, self._topology
        if isinstance(prune, Perturbing):  # what is kept is its choice, not that of the weights
            rng = self._scenario.seeds.rng("search", f"perturbation|{session.epoch}")
            kept = prune.after_measured_epoch(partial(self._worth, game, prune.measure), rng, *now)
            self._settle(game, kept, weights * kept.cpu().numpy())
            weights = self._weights(game)
        chosen = self._derived(game, weights)
        if isinstance(prune, EpochPruning):  # edges are ranked, and derived, by what they were before
            self._settle(game, prune.after_epoch(torch.from_numpy(weights).to(game.alpha), *now), weights)
        curvature = cache(partial(self._curvature, game))  # asked for by some rules, charged once
        report = Report(session.epoch, session.length, weights, chosen, self._topology, curvature)
        verdict, at.stop_memory = self._settings.stop.after_epoch(report, at.stop_memory)
        # cut first: a search that returned to an earlier epoch derives the later ones anew
        at.paths = (*at.paths[: session.epoch], path_of(chosen, self._topology))
        session.epoch += 1
        epoch: dict[str, Logged] = {
            "epoch": session.epoch,
            **losses,
            **_diagnostics(weights, chosen, game, self._topology),
            **decided,
            **self._caveat(decided),
        }
        if game.halted is not None:
            epoch["halted"] = float(game.halted.stopped.sum())
        if curvature.cache_info().currsize:
            epoch["curvature"] = curvature()
        if self._settings.stop.earliest is not None:
            epoch["stop_rule"] = reach(self._settings.stop, session.length)
        if verdict.reading is not None:
            epoch["stop_reading"] = verdict.reading
        by_operation = dict(zip(self._topology.operations, weights.T.round(4).tolist(), strict=True))
        derived = self._settings.discretise.protocol(self._topology)
        return epoch | {"decision": verdict.decision, "derivation": derived, "operation_weights": by_operation}, verdict

    def _follow(self, game: Game, verdict: StopDecision) -> None:
        """Stop, return, or go on; keep what may be returned to."""
        at, session, back = self._progress, self._session, self._settings.stop.returns
        if back:
            # only as many as the rule may return to: a snapshot is a supernet and its optimiser
            self._snapshots[session.epoch] = copy.deepcopy(game.state_dict())
            self._snapshots = {
                epoch: kept for epoch, kept in self._snapshots.items() if epoch > session.epoch - back - 1
            }
        if verdict.stop:
            at.stopped = True
        if verdict.epoch is None:
            return
        at.paths = at.paths[: verdict.epoch + 1]
        if not verdict.stop:
            session.epoch = verdict.epoch + 1
            at.decay *= verdict.decay or 1.0
            game.load_state_dict(self._snapshots[session.epoch])

    def _weights(self, game: Game) -> Weights:
        with torch.no_grad():
            weights = game.activated()
            edges = self._settings.edges.weights(game.beta, self._topology)
            if edges is not None:
                weights = weights * edges.unsqueeze(1)
        found: Weights = weights.double().cpu().numpy()
        for edge, settled in self._progress.settled.items():
            found[edge] = settled
        return found

    def _decided(self, game: Game) -> dict[str, Logged]:
        """What is known of how sure the choice is."""
        allowed = self._topology.none if self._settings.discretise.leaves_none(self._topology) else None
        self._progress.margins |= margins([*game.walk, game.alpha.detach()], game.opened, allowed)
        return decided(self._progress.logit_steps, self._progress.margins, self._least)

    def _caveat(self, decided: Mapping[str, Logged]) -> dict[str, Logged]:
        """What must be read with the result, if it ended so."""
        stop, length = self._settings.stop, self._session.length
        unacting = "" if acts(stop, length) else f"the rule that would stop it {reach(stop, length)}"
        said = "; ".join(filter(None, (caveat(decided, self._least), unacting)))
        return {"caveat": said} if said else {}

    def _chosen(self, game: Game) -> Chosen:
        return self._settings.discretise.choose(self._weights(game), self._topology)

    def _architecture(self, game: Game) -> Architecture:
        return game.supernet.architecture(self._progress.paths[-1])

    def _derived(self, game: Game, weights: Weights) -> Chosen:
        """What an epoch derives; after the last one, of those that are measured for it."""
        rule = self._settings.discretise
        if not isinstance(rule, Electing) or self._session.epoch + 1 < self._session.length:
            return rule.choose(weights, self._topology)
        batches = self._endless(game.lab, self._settings.split.alpha)

        def accuracy(chosen: Chosen) -> float:
            batch = next(batches)
            logits = game.lab.infer(game.supernet, batch, path_of(chosen, self._topology))
            return float((logits.argmax(1) == batch.targets).double().mean())

        rng = self._scenario.seeds.rng("search", "finalists")
        return rule.elect(weights, self._topology, accuracy, rng)

    def _worth(self, game: Game, measure: Measure, kept: Tensor) -> float:
        """What the supernet is worth over the architecture's data with the operations in `kept` alone."""
        part, size = self._settings.split.alpha, self._settings.weights.batch_size
        mixture, total, seen = game.reduced(kept), 0.0, 0
        for batch in game.lab.batches(part[0], size, part[1]):
            logits = game.lab.infer(game.supernet, batch, mixture)
            if measure == "loss":
                total -= float(F.cross_entropy(logits, batch.targets, reduction="sum"))
            else:
                total += int((logits.argmax(1) == batch.targets).sum())
            seen += len(batch)
        return total / seen

    def _curvature(self, game: Game) -> float:
        """Largest eigenvalue of the Hessian of L_val in alpha, on the last validation minibatch."""
        valid, shape = self._last_valid, game.alpha.shape
        assert valid is not None, "an epoch without a step of the architecture has no curvature to watch"
        with game.frozen_weights():
            mixture = game.mixture("alpha")
            multiply = game.lab.hessian(game.supernet, valid, mixture, game.alpha, game.outer_loss(mixture))

        def product(v: Vector) -> Vector:
            found: Vector = multiply(torch.from_numpy(v).view(shape).to(game.alpha)).double().cpu().numpy().ravel()
            return found

        rng = self._scenario.seeds.rng("search", f"curvature|{self._session.epoch}")
        return self._settings.curvature.largest(product, game.alpha.numel(), rng)


def squared_norm(weights: list[nn.Parameter]) -> float:
    """Sum of the squares of all gradients."""
    norms = torch._foreach_norm([w.grad for w in weights if w.grad is not None])
    return float(torch.stack(list(norms)).double().square().sum())


def _diagnostics(weights: Weights, chosen: Chosen, game: Game, topology: Topology) -> dict[str, float]:
    """Mean entropy of the decisions in nats, skips and operations that would be handed over, what is not pruned."""
    shares = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-12)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    found = {"entropy": float(-(shares * logs).sum(-1).mean()), "skips": float(len(skips_of(chosen, topology)))}
    if not bool(game.mask.all()):
        found["unpruned"] = float(game.mask.sum())
    return found
