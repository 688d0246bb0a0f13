"""Search strategies."""

from __future__ import annotations

from searchbench.registry import Entry, Registry

_PAPERS = "searchbench.strategies.differentiable.papers"
_PRIME, _ROBUST, _SAMPLED, _EXPERTS = (f"{_PAPERS}_{part}" for part in ("prime", "robust", "sampled", "experts"))

STRATEGIES = Registry(
    kind="strategy",
    group="searchbench.strategies",
    builtin={
        "random": Entry("searchbench.strategies.random:Random", "independent uniform draws"),
        "generator": Entry(
            "searchbench.strategies.generators:Generator",
            "one draw, never selected: a distribution, not a search (Xie 2019)",
        ),
        "generator-grid": Entry(
            "searchbench.strategies.generators:GeneratorGrid",
            "generators compared by the means of their draws (Xie 2019)",
        ),
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
        "renas": Entry(
            "searchbench.strategies.renas:renas",
            "tournaments whose mutations a controller learns (Chen 2019)",
        ),
        "hierarchical-evolution": Entry(
            "searchbench.strategies.hierarchical:HierarchicalEvolution",
            "tournaments among motifs of motifs, nobody dies (Liu 2018, hierarchical)",
        ),
        "successive-halving": Entry(
            "searchbench.strategies.halving:SuccessiveHalving",
            "many short trainings, the best third goes on (Jamieson & Talwalkar 2016)",
        ),
        "hyperband": Entry(
            "searchbench.strategies.halving:Hyperband",
            "successive halving from several starting lengths in turn (Li 2018)",
        ),
        "asha": Entry("searchbench.strategies.asha:Asha", "asynchronous successive halving: nobody waits (Li 2020)"),
        "multi-objective-asha": Entry(
            "searchbench.strategies.mo_asha:MultiObjectiveAsha",
            "ASHA whose rungs are ranked by fronts of objectives (Schmucker 2021)",
        ),
        "median-stopping": Entry(
            "searchbench.strategies.median:MedianStopping",
            "trainings ended that fall behind the median (Golovin 2017, Vizier)",
        ),
        "predicted-stopping": Entry(
            "searchbench.strategies.median:PredictedStopping",
            "trainings ended that will hardly become the best (rule of Domhan 2015)",
        ),
        "scheduled": Entry(
            "searchbench.strategies.scheduled:scheduled",
            "any searcher (gp, optuna:tpe …) x any scheduler (hyperband, asha …)",
        ),
        "warm-start": Entry(
            "searchbench.strategies.warm:warm_start",
            "any strategy that learns, with an earlier study's trials (Feurer 2015)",
        ),
        "bohb": Entry("searchbench.strategies.bohb:Bohb", "Hyperband with a kernel density model (Falkner 2018)"),
        "dehb": Entry(
            "searchbench.strategies.dehb:Dehb",
            "Hyperband with differential evolution for each length (Awad 2021)",
        ),
        "pbt": Entry(
            "searchbench.strategies.pbt:pbt",
            "a population whose worst copy the best and explore (Jaderberg 2017)",
        ),
        "pb2": Entry(
            "searchbench.strategies.pb2:pb2",
            "pbt that explores by a forgetting Gaussian process (Parker-Holder 2020)",
        ),
        "constant-settings": Entry(
            "searchbench.strategies.constant:constant_settings",
            "any strategy, its settings held over a whole schedule",
        ),
        "gp": Entry(
            "searchbench.strategies.model_based:gaussian_process",
            "Gaussian process, hedged acquisition (Snoek 2012; as scikit-optimize)",
        ),
        "forest": Entry(
            "searchbench.strategies.model_based:forest",
            "random forest, hedged acquisition (Hutter 2011; as scikit-optimize)",
        ),
        "bananas": Entry(
            "searchbench.strategies.model_based:bananas",
            "networks on path encodings, Thompson sampling of mutations (White 2021)",
        ),
        "nas-bowl": Entry(
            "searchbench.strategies.graph_process:nas_bowl",
            "Gaussian process with the Weisfeiler-Lehman graph kernel (Ru 2021)",
        ),
        "nasbot": Entry(
            "searchbench.strategies.transport:nasbot",
            "Gaussian process, networks compared by transport (Kandasamy 2018)",
        ),
        "auto-keras": Entry(
            "searchbench.strategies.morphism_tree:auto_keras",
            "Gaussian process over a tree of morphisms, compared by edits (Jin 2019)",
        ),
        "pibo": Entry(
            "searchbench.strategies.pibo:pibo",
            "Gaussian process with a belief that counts ever less (Hvarfner 2022)",
        ),
        "zero-cost-prior": Entry(
            "searchbench.strategies.zero_cost_prior:zero_cost_prior",
            "forest with zero-cost ranks as features and belief (Krishnakumar 2022)",
        ),
        "priorband": Entry(
            "searchbench.strategies.priorband:priorband",
            "Hyperband with a declared belief, as long as it holds (Mallik 2023)",
        ),
        "turbo": Entry(
            "searchbench.strategies.turbo:Turbo",
            "Gaussian process in a box that grows and shrinks (Eriksson 2019)",
        ),
        "lanas": Entry(
            "searchbench.strategies.lanas:LaNas",
            "a tree of linear models, descended by confidence bounds (Wang 2021)",
        ),
        "pnas": Entry(
            "searchbench.strategies.pnas:pnas",
            "ever larger cells, the best predicted are trained (Liu 2018)",
        ),
        "reinforce": Entry(
            "searchbench.strategies.reinforce:Reinforce", "policy gradient on independent logits (Zoph & Le 2017; NATS)"
        ),
        "lstm-reinforce": Entry(
            "searchbench.strategies.controlled:lstm_reinforce",
            "two-layer LSTM controller, REINFORCE, stale replicas (Zoph & Le 2017)",
        ),
        "ppo": Entry(
            "searchbench.strategies.controlled:ppo", "LSTM controller, proximal policy optimisation (Zoph 2018, NASNet)"
        ),
        "mnasnet": Entry(
            "searchbench.strategies.scalarised:mnasnet",
            "any strategy (PPO) on accuracy x (latency / target)^w (Tan 2019)",
        ),
        "nsga2": Entry(
            "searchbench.strategies.nsga2:Nsga2", "evolution towards a front of several objectives (Deb 2002)"
        ),
        "nsga-net": Entry(
            "searchbench.strategies.nsga_net:NsgaNet",
            "fronts of crossed phases, then a Bayesian network of them (Lu 2019)",
        ),
        "darts": Entry(f"{_PAPERS}:darts", "first-order differentiable search (Liu 2019)"),
        "darts-second-order": Entry(
            f"{_ROBUST}:darts_second_order", "DARTS through one virtual step of the weights (Liu 2019)"
        ),
        "darts-cs": Entry(f"{_PRIME}:darts_cs", "DARTS whose architecture moves every tenth minibatch (Maile 2021)"),
        "darts-fimt": Entry(
            f"{_PRIME}:darts_fimt", "DARTS whose architecture moves when weights have settled (Maile 2021)"
        ),
        "darts-pr": Entry(f"{_PRIME}:darts_pr", "DARTS drawn towards what would be derived (Maile 2021)"),
        "darts-admm": Entry(f"{_PRIME}:darts_admm", "DARTS drawn towards a feasible copy, by ADMM (Maile 2021)"),
        "darts-prime": Entry(f"{_PRIME}:darts_prime", "FIMT and proximity together (Maile 2021)"),
        "darts-grid": Entry(
            f"{_PRIME}:darts_grid",
            "any cell of DARTS-PRIME's grid of schedules and penalties (Maile 2021)",
        ),
        "darts-plus": Entry(f"{_PAPERS}:darts_plus", "DARTS stopped at two skip connections (Liang 2019)"),
        "darts-plus-rank": Entry(f"{_PAPERS}:darts_plus_rank", "DARTS stopped when rankings are stable (Liang 2019)"),
        "fair-darts": Entry(f"{_PAPERS}:fair_darts", "a sigmoid per operation, pushed to 0 or 1 (Chu 2020)"),
        "darts-minus": Entry(f"{_PAPERS}:darts_minus", "DARTS with a fading auxiliary skip (Chu 2021)"),
        "p-darts": Entry(f"{_PAPERS}:p_darts", "stages of ever fewer operations (Chen 2019)"),
        "pd-darts": Entry(f"{_PAPERS}:pd_darts", "discretised at milestones while the weights go on (PD-DARTS)"),
        "r-darts-l2": Entry(f"{_ROBUST}:r_darts_l2", "second-order DARTS with more weight decay (Zela 2020)"),
        "r-darts-dp": Entry(f"{_ROBUST}:r_darts_dp", "second-order DARTS with ever more dropped paths (Zela 2020)"),
        "darts-es": Entry(f"{_ROBUST}:darts_es", "second-order DARTS stopped before curvature rises (Zela 2020)"),
        "darts-ada": Entry(f"{_ROBUST}:darts_ada", "second-order DARTS with decay that follows curvature (Zela 2020)"),
        "beta-darts": Entry(f"{_ROBUST}:beta_darts", "DARTS with a decay of operations' weights (Ye 2022)"),
        "sdarts-rs": Entry(f"{_ROBUST}:sdarts_rs", "DARTS whose weights learn at random mixtures near (Chen 2020)"),
        "sdarts-adv": Entry(f"{_ROBUST}:sdarts_adv", "DARTS whose weights learn at the worst mixture near (Chen 2020)"),
        "darts-pt": Entry(f"{_ROBUST}:darts_pt", "DARTS that keeps what the supernet misses most (Wang 2021)"),
        "xnas": Entry(f"{_EXPERTS}:xnas", "operations as experts, hopeless ones wiped out (Nayman 2019)"),
        "asap": Entry(f"{_EXPERTS}:asap", "an annealed softmax, light operations pruned (Noy 2019)"),
        "manas": Entry(f"{_EXPERTS}:manas", "every edge a bandit of EXP3 (Carlucci 2019)"),
        "manas-ls": Entry(f"{_EXPERTS}:manas_ls", "credit by least squares, draws by rank (Carlucci 2019)"),
        "setn": Entry(f"{_EXPERTS}:setn", "a template trained on uniform paths, finalists measured (Dong 2019)"),
        "stacnas": Entry(f"{_EXPERTS}:stacnas", "groups of like operations first, their members then (Li 2019)"),
        "shapley-nas": Entry(f"{_EXPERTS}:shapley_nas", "logits moved by sampled Shapley values (Xiao 2022)"),
        "drnas-progressive": Entry(
            f"{_SAMPLED}:drnas_progressive", "DrNAS with fewer operations on more channels half-way (Chen 2021)"
        ),
        "oles": Entry(f"{_ROBUST}:oles", "operations stop learning when they overfit (Jiang 2023)"),
        "drnas": Entry(f"{_SAMPLED}:drnas", "operations' weights drawn from Dirichlet distributions (Chen 2021)"),
        "fbnet": Entry(f"{_SAMPLED}:fbnet", "concrete relaxation, loss times a power of the cost (Wu 2019)"),
        "densenas": Entry(
            f"{_SAMPLED}:densenas", "routes through blocks have logits, the likeliest is taken (Fang 2020)"
        ),
        "nasp": Entry(f"{_SAMPLED}:nasp", "proximal iterations: one operation per edge at a time (Yao 2020)"),
        "gdas": Entry(f"{_SAMPLED}:gdas", "one operation per edge, by Gumbel-argmax (Dong & Yang 2019)"),
        "snas": Entry(f"{_SAMPLED}:snas", "concrete relaxation, single level (Xie 2019)"),
        "pc-darts": Entry(f"{_PAPERS}:pc_darts", "partial channels and weighted edges (Xu 2020)"),
        "proxyless": Entry(f"{_SAMPLED}:proxyless", "binary gates, two paths compared (Cai 2019)"),
        "proxyless-reinforce": Entry(f"{_SAMPLED}:proxyless_reinforce", "binary gates, policy gradient (Cai 2019)"),
        "recurrent": Entry(
            "searchbench.strategies.differentiable.papers_recurrent:recurrent",
            "any supernet search, with the settings of language models (Liu 2019)",
        ),
        "spos": Entry(
            "searchbench.strategies.oneshot.papers:spos",
            "uniform single-path supernet, then evolution on its weights (Guo 2020)",
        ),
        "spos-stratified": Entry(
            "searchbench.strategies.oneshot.papers:spos_stratified",
            "SPOS with paths stratified by multiply-accumulates (released code)",
        ),
        "spos-random": Entry(
            "searchbench.strategies.oneshot.papers:spos_random",
            "SPOS's control: as many random paths of the same supernet (Guo 2020)",
        ),
        "fairnas": Entry(
            "searchbench.strategies.oneshot.papers:fairnas",
            "strictly fair supernet, then NSGA-II on inherited weights (Chu 2021)",
        ),
        "expectation-fair": Entry(
            "searchbench.strategies.oneshot.papers:expectation_fair",
            "FairNAS with an update after every path (Chu 2021)",
        ),
        "bignas": Entry(
            "searchbench.strategies.oneshot.papers:bignas",
            "sandwiches of paths, the largest teaches the others (Yu 2020)",
        ),
        "few-shot": Entry(
            "searchbench.strategies.oneshot.papers:few_shot",
            "one supernet, then several, split by a decision's options (Zhao 2021)",
        ),
        "ofa": Entry(
            "searchbench.strategies.oneshot.papers:once_for_all",
            "largest network first, then ever smaller ones cut from it (Cai 2020)",
        ),
        "single-path": Entry(
            "searchbench.strategies.oneshot.superkernels:single_path",
            "thresholds against norms of a kernel's parts (Stamoulis 2019)",
        ),
        "mixpath": Entry(
            "searchbench.strategies.oneshot.papers:mixpath",
            "several kernels at a time, then NSGA-II on inherited weights (Chu 2023)",
        ),
        "prenas": Entry(
            "searchbench.strategies.oneshot.papers:prenas",
            "a supernet trained on paths that a zero-cost score prefers (Wang 2023)",
        ),
        "cars": Entry(
            "searchbench.strategies.oneshot.papers:cars",
            "evolution while the supernet is trained on its population (Yang 2020)",
        ),
        "pcnas": Entry(
            "searchbench.strategies.oneshot.papers:pcnas",
            "layers decided one by one while the supernet is trained (Li 2020)",
        ),
        "attentive-nas": Entry(
            "searchbench.strategies.oneshot.papers:attentive_nas",
            "BigNAS whose random paths are the best or worst of some (Wang 2021)",
        ),
        "enas": Entry(
            "searchbench.strategies.oneshot.enas:enas",
            "a controller learns on shared weights while they are trained (Pham 2018)",
        ),
        "enas-recurrent": Entry(
            "searchbench.strategies.oneshot.enas:enas_recurrent",
            "ENAS for recurrent cells, rewarded with 80 / perplexity (Pham 2018)",
        ),
        "one-shot": Entry(
            "searchbench.strategies.oneshot.papers:one_shot",
            "supernet with dropped paths, best of random ones retrained (Bender 2018)",
        ),
        "shared-weights": Entry(
            "searchbench.strategies.oneshot.halves:shared_weights",
            "any training of a supernet x any search over its inherited weights",
        ),
        "stratified-sample": Entry(
            "searchbench.strategies.sample:StratifiedSample",
            "the same architectures in every run, stratified by cost; for rankings",
        ),
        "random-sharing": Entry(
            "searchbench.strategies.oneshot.papers:random_sharing",
            "single-path supernet, then random search (Li & Talwalkar 2019)",
        ),
    },
    adapters={
        "optuna": Entry(
            "searchbench.strategies.adapters.optuna:adapt",
            "Optuna's random, tpe, tpe-hyperopt, gp, cmaes, nsgaii, nsgaiii, qmc, grid; with a `pruner` (median, "
            "halving, hyperband) or several `objectives`",
        ),
        "tune": Entry(
            "searchbench.strategies.adapters.tune:adapt",
            "Ray Tune's searchers (optuna, hyperopt) and schedulers (asha, hyperband, median-stopping)",
        ),
        "skopt": Entry(
            "searchbench.strategies.adapters.skopt:adapt", "scikit-optimize's optimizers: gp, forest, extra-trees"
        ),
        "cmaes": Entry(
            "searchbench.strategies.adapters.cmaes:adapt",
            "CMA-ES for mixed spaces, by the package cmaes: catcma (Hamano 2024)",
        ),
        "smac": Entry("searchbench.strategies.adapters.smac:adapt", "SMAC3's optimizers: forest, gp"),
        "nni": Entry(
            "searchbench.strategies.adapters.nni:adapt",
            "NNI's tuners: random, tpe, evolution, anneal, regularized-evolution",
        ),
    },
)

FAMILIES: dict[str, tuple[str, ...]] = {
    "Draws and grids": ("random", "generator", "generator-grid", "grid", "stratified-sample"),
    "Local search and evolution": (
        "local-search", "regularized-evolution", "non-aging-evolution", "renas", "hierarchical-evolution", "nsga2",
        "nsga-net",
    ),
    "Short trainings first": (
        "successive-halving", "hyperband", "asha", "multi-objective-asha", "median-stopping", "predicted-stopping",
        "bohb", "dehb", "priorband",
    ),
    "Schedules of settings, found in training": ("pbt", "pb2"),
    "Models of the objective": (
        "gp", "forest", "bananas", "nas-bowl", "nasbot", "auto-keras", "pibo", "zero-cost-prior", "turbo", "lanas",
        "pnas",
    ),
    "Controllers": ("reinforce", "lstm-reinforce", "ppo", "mnasnet"),
    "Compositions of others": ("scheduled", "warm-start", "constant-settings"),
}  # fmt: skip
"""Strategies that evaluate architectures one by one, by what they are; `family` knows the others."""
DIFFERENTIABLE, SUPERNETS = "Differentiable search", "Supernets searched afterwards, and controllers over them"
LIBRARIES = "Libraries that compete"


def family(name: str) -> str:
    """The family of a strategy: of a built-in one what it is, else that it is a library's or a plug-in."""
    entry = STRATEGIES.builtin.get(name)
    if entry is None:
        return LIBRARIES if name.partition(":")[0] in STRATEGIES.adapters else "Plug-ins"
    if ".differentiable." in entry.path:
        return DIFFERENTIABLE
    return next((found for found, names in FAMILIES.items() if name in names), SUPERNETS)
