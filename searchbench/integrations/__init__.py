"""What other tools of the field take: a problem as their objective, their search spaces as ours, runs in trackers.

Every library is imported where it is first needed; the package itself needs none of them.
"""

from searchbench.integrations.asked import Asked, as_function
from searchbench.integrations.optuna import OptunaObjective, from_distributions, optuna_objective
from searchbench.integrations.trackers import MLflow, TensorBoard, WandB, tracker
from searchbench.integrations.tune import from_param_space, param_space, tune_trainable

__all__ = [
    "Asked",
    "MLflow",
    "OptunaObjective",
    "TensorBoard",
    "WandB",
    "as_function",
    "from_distributions",
    "from_param_space",
    "optuna_objective",
    "param_space",
    "tracker",
    "tune_trainable",
]
