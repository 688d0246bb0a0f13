"""What a column of the leaderboard means, said where it stands."""

from __future__ import annotations

from searchbench.reports.leaderboard import Block
from searchbench.reports.render.cells import Column

_SAID = {
    "strategy": "Its label in the study.",
    "n": "Independent searches that gave a result: what mean and spread are over.",
    "failed": "Searches that failed, of those recorded; means leave them out, tests rank them worst.",
    "adjusted p": "Of the {estimand} of the paired differences from the baseline, corrected over all tests made.",
    "effect size": "Size of the paired difference; negative where the strategy has the lower numbers.",
    "P(best)": "How often its interquartile mean comes first when the seeds are resampled; a description, no test.",
    "params": "Parameters of the network that was found, on average.",
    "MACs": "Multiply-accumulates of one forward pass of the network that was found, on average.",
    "search evals": "Evaluations that one search made, on average.",
    "search epochs": "Epochs of training that one search spent, on average.",
    "search samples": "Samples that one search trained and measured on, on average.",
    "search MACs": "Multiply-accumulates that one search spent, on average.",
    "search device": "Seconds of computing on a device that one search spent, on average.",
    "search simulated": "Recorded seconds that the look-ups of one search stand for, on average.",
    "strategy itself": "CPU time of the strategy's own decisions in one search, on average.",
    "peak memory": "The most memory that a search held, on average.",
    "judging failed": "Searches that ended well and whose result could not be judged.",
    "not yet run": "Searches that were planned and are not recorded.",
    "verdict": "Test of the {estimand} of the paired differences from {baseline}, corrected over all tests made; "
    "no evidence is no proof of equality.",
    "rank": "All places it may hold at {confidence} confidence, for all strategies at once: 1–3 is anything from "
    "first to third. It is narrower only where tests told strategies apart (by the {estimand}).",
}


def meaning(column: Column, block: Block) -> str:
    """One or two sentences, with the estimand that the study declared; empty for a heading that says it all."""
    declared, metric, title = block.verdicts.declared, block.verdicts.metric, column.title
    known = {
        "estimand": declared.estimand,
        "baseline": declared.baseline or "the baseline",
        "confidence": declared.confidence,
    }
    if title in _SAID:
        return _SAID[title].format(**known)
    if title.startswith(metric.name):
        return f"Mean ± standard deviation over n searches, each judged once; {metric.better} is better."
    if title.endswith(" CI"):
        return f"Student's t-interval of the mean over n searches, at {declared.confidence} confidence, each by itself."
    if title.startswith("against"):
        return f"The {declared.estimand} of the paired differences from {known['baseline']}."
    if title.startswith("validation"):
        return "What the search itself saw of the result it chose: optimistic, never ranked by."
    return f"The {title}, by which the table is sorted." if title == declared.estimand else ""
