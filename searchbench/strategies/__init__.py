"""Search strategies."""

from __future__ import annotations

from searchbench.registry import Entry, Registry

STRATEGIES = Registry(
    kind="strategy",
    group="searchbench.strategies",
    builtin={
        "random": Entry("searchbench.strategies.random:Random", "independent uniform draws"),
        "grid": Entry("searchbench.strategies.grid:Grid", "the full product of all decisions' values"),
        "local-search": Entry(
            "searchbench.strategies.local:LocalSearch", "first improvement among the neighbours, with restarts"
        ),
        "regularized-evolution": Entry(
            "searchbench.strategies.evolution:RegularizedEvolution", "tournament selection, the oldest dies (Real 2019)"
        ),
        "non-aging-evolution": Entry(
            "searchbench.strategies.evolution:non_aging_evolution",
            "tournament selection, the worst of each tournament dies (Real 2019, 6.1)",
        ),
        "successive-halving": Entry(
            "searchbench.strategies.halving:SuccessiveHalving",
            "many short trainings, the best third continued, again and again (Jamieson & Talwalkar 2016)",
        ),
        "hyperband": Entry(
            "searchbench.strategies.halving:Hyperband",
            "successive halving from several starting lengths in turn (Li 2018)",
        ),
        "asha": Entry("searchbench.strategies.asha:Asha", "asynchronous successive halving: nobody waits (Li 2020)"),
        "bohb": Entry("searchbench.strategies.bohb:Bohb", "Hyperband with a kernel density model (Falkner 2018)"),
        "reinforce": Entry(
            "searchbench.strategies.reinforce:Reinforce", "policy gradient on independent logits (Zoph & Le 2017; NATS)"
        ),
        "darts": Entry(
            "searchbench.strategies.differentiable.papers:darts", "first-order differentiable search (Liu 2019)"
        ),
        "spos": Entry(
            "searchbench.strategies.oneshot.papers:spos",
            "uniform single-path supernet, then evolution on inherited weights (Guo 2020)",
        ),
        "random-sharing": Entry(
            "searchbench.strategies.oneshot.papers:random_sharing",
            "single-path supernet, then random search on inherited weights (Li & Talwalkar 2019)",
        ),
    },
    adapters={
        "optuna": Entry(
            "searchbench.strategies.adapters.optuna:adapt",
            "Optuna's samplers: random, tpe, gp, cmaes, nsgaii, qmc, grid",
        ),
    },
)
