"""One question, one function, one `Answer`; every refusal says what would be needed.

::

    from searchbench import statistics as st
    st.paired(a, b, better="lower").wording
"""

from searchbench.statistics.anytime import (
    Band,
    Curve,
    area,
    band,
    end_to_end_cost,
    incumbent,
    mean_regret,
    regrets,
    step_at,
)
from searchbench.statistics.arms import Arm, RunStatus, arm
from searchbench.statistics.comparability import Block, Key, Protocol, Row, blocks, comparable
from searchbench.statistics.correlation import rank_correlation, top_k
from searchbench.statistics.equivalence import rope, tost
from searchbench.statistics.estimand import ESTIMANDS, Estimand, estimand
from searchbench.statistics.factorial import Factorial, Rung, factorial, ladder
from searchbench.statistics.families import benjamini_hochberg, holm, looks
from searchbench.statistics.friedman import (
    against_control,
    block_ranks,
    critical_difference,
    friedman,
    nemenyi,
)
from searchbench.statistics.front import hypervolume, pareto
from searchbench.statistics.letters import letters
from searchbench.statistics.many_tasks import (
    Aggregate,
    Scores,
    aggregate,
    iqm,
    p_best,
    performance_profile,
    probability_of_improvement,
)
from searchbench.statistics.one import describe
from searchbench.statistics.one_task import Family, all_pairs, baseline_then_others, superiority_matrix, versus_baseline
from searchbench.statistics.paired import pair_seeds, paired, signed_rank_normal
from searchbench.statistics.power import achieved, min_pairs, min_per_arm, more_seeds, required_n
from searchbench.statistics.random_baseline import beating_random, improvement_of_means, relative_improvement
from searchbench.statistics.ranking import Place, Ranking, rank
from searchbench.statistics.record import Answer, Effect, Interval, Status
from searchbench.statistics.reliability import completion, failure_rates, wilson
from searchbench.statistics.supernets import correlation_difference, supernet_correlation
from searchbench.statistics.target import Hits, expected_running_time, hits, kaplan_meier, log_rank
from searchbench.statistics.tuning import best_of_k, expected_best
from searchbench.statistics.two_sample import Summary, brunner_munzel, mann_whitney, welch
from searchbench.statistics.unpaired import unpaired
from searchbench.statistics.variance import variance_components

__all__ = [
    "ESTIMANDS",
    "Aggregate",
    "Answer",
    "Arm",
    "Band",
    "Block",
    "Curve",
    "Effect",
    "Estimand",
    "Factorial",
    "Family",
    "Hits",
    "Interval",
    "Key",
    "Place",
    "Protocol",
    "Ranking",
    "Row",
    "RunStatus",
    "Rung",
    "Scores",
    "Status",
    "Summary",
    "achieved",
    "against_control",
    "aggregate",
    "all_pairs",
    "area",
    "arm",
    "band", "baseline_then_others", "beating_random",
    "benjamini_hochberg",
    "best_of_k",
    "block_ranks",
    "blocks",
    "brunner_munzel",
    "comparable",
    "completion",
    "correlation_difference",
    "critical_difference",
    "describe",
    "end_to_end_cost",
    "estimand",
    "expected_best",
    "expected_running_time",
    "factorial",
    "failure_rates",
    "friedman",
    "hits",
    "holm",
    "hypervolume",
    "improvement_of_means",
    "incumbent",
    "iqm",
    "kaplan_meier",
    "ladder",
    "letters",
    "log_rank",
    "looks",
    "mann_whitney",
    "mean_regret",
    "min_pairs",
    "min_per_arm",
    "more_seeds",
    "nemenyi",
    "p_best",
    "pair_seeds",
    "paired",
    "pareto",
    "performance_profile",
    "probability_of_improvement",
    "rank",
    "rank_correlation",
    "regrets",
    "relative_improvement",
    "required_n",
    "rope",
    "signed_rank_normal",
    "step_at",
    "superiority_matrix",
    "supernet_correlation",
    "top_k",
    "tost",
    "unpaired",
    "variance_components",
    "versus_baseline",
    "welch",
    "wilson",
]  # fmt: skip
