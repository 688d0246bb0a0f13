"""Estimators, which measure architectures during a search, and judges, which measure what a search hands over."""

from __future__ import annotations

from searchbench.registry import Entry, Registry

ESTIMATORS = Registry(
    kind="estimator",
    group="searchbench.estimators",
    builtin={
        "train": Entry("searchbench.estimators.train:Train", "trains from scratch, measures the validation error"),
        "table": Entry("searchbench.tables.table:Table", "looks recorded results up"),
        "recorded-rows": Entry(
            "searchbench.tables.recorded_rows:RecordedRows",
            "looks recorded hyper-parameter settings up, or predicts them",
        ),
        "extrapolated": Entry(
            "searchbench.estimators.learning_curve:Extrapolated",
            "predicts the final value from the beginning of a curve",
        ),
        "sum-of-losses": Entry(
            "searchbench.estimators.learning_curve:SumOfLosses", "sums the training losses of the first epochs (SoTL)"
        ),
        "zero-cost": Entry(
            "searchbench.estimators.zero_cost:ZeroCost",
            "scores an untrained network: params, macs, grad_norm, snip, grasp, fisher, synflow, jacob_cov, nwot",
        ),
    },
)

JUDGES = Registry(
    kind="judge",
    group="searchbench.judges",
    builtin={
        "train": Entry(
            "searchbench.estimators.judge:TrainJudge",
            "trains from scratch on train and validation together, measures the test error once",
        ),
        "table": Entry("searchbench.tables.table:table_judge", "looks recorded test results up"),
        "recorded-rows": Entry(
            "searchbench.tables.recorded_rows:row_judge", "looks recorded test values of settings up"
        ),
    },
)

__all__ = ["ESTIMATORS", "JUDGES"]
