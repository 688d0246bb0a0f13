"""Puts any oracle case to the public functions, chosen by the *shape* of its inputs, never by its name or values.

`answer(case)` returns every quantity the layer gives for those inputs, under the oracle's names; a case asks for
some of them. Only the wording of keys is translated here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from searchbench import statistics as st
from searchbench.errors import StatisticsError

Case = dict[str, Any]
Got = dict[str, Any]


def answer(case: Case) -> Got:
    """All the layer says about the case's inputs."""
    given = case["inputs"]
    for needed, ask in ROUTES:
        if needed <= set(given):
            try:
                return ask(_decoded(given), case)
            except StatisticsError as error:
                return {"status": {str(error).split(":")[0]}}
    raise AssertionError(f"no question has inputs {sorted(given)}")


def _decoded(given: Any) -> Any:
    if isinstance(given, dict):
        return {k: _decoded(v) for k, v in given.items()}
    if isinstance(given, list):
        return [_decoded(v) for v in given]
    return {"inf": math.inf, "-inf": -math.inf}.get(given, given) if isinstance(given, str) else given


def facts(*answers: st.Answer) -> Got:
    """Facts and fields of answers, merged; the last answer wins."""
    out: Got = {}
    for a in answers:
        out |= dict(a.facts)
        out |= {"p": a.p, "n": a.n, "n_failed": a.n_failed, "reason": a.refusal_reason}
        out["status"] = {a.status, a.code, "refuse" if a.status == "refused" else a.status}
        out["ci"] = out["ci95"] = None if a.interval is None else (a.interval.low, a.interval.high)
        if a.interval is not None:
            out |= {"low": a.interval.low, "high": a.interval.high}
    return out


def one(given: Got, _: Case) -> Got:
    return facts(st.describe(given["x"], level=given.get("confidence", 0.95)))


def two(given: Got, case: Case) -> Got:
    a, b = given["a"], given["b"]
    by_seed = given.get("paired", "paired" in case["name"] and "unpaired" not in case["name"])
    if "bound" in given:
        return facts(st.tost(a, b, delta=given["bound"], paired_by_seed=by_seed))
    if "rope" in given:
        got = facts(st.rope(a, b, delta=given["rope"], paired_by_seed=by_seed))
        return got | {"p_left": got["below"], "p_rope": got["within"], "p_right": got["above"]}
    if given.get("zero_method") == "zsplit":
        return facts(st.signed_rank_normal(a, b))
    matched = case["group"] == "paired" or "mean_diff" in case["expected"] or "diffs" in case["expected"]
    if matched:
        got = facts(st.paired(a, b, better=_better(given, case)))
        lead = "wilcoxon_p" if "W" in case["expected"] else "t_p" if "t" in case["expected"] else "p"
        return got | {"p": got.get(lead, got["p"])}
    got = facts(st.unpaired(a, b, better=_better(given, case)))
    got |= {"A12_worst_rank": got["A12"], "A12_dropped": got.get("A12_completed_only", got["A12"])}
    got["A12_a_better_if_lower_is_better"] = got["A12_better"]
    if "t" in case["expected"]:
        welch = facts(st.welch(a, b))
        got |= {k: welch[k] for k in ("t", "df", "p", "diff", "ci95")}
        got |= {"cohen_d_pooled": got.get("cohen_d"), "hedges_g_approx": got.get("hedges_g")}
    elif "statistic" in case["expected"]:
        got |= facts(st.brunner_munzel(a, b))
    elif got["p"] is not None:
        got["p"] = got["mann_whitney_p"]
    return got


def _better(given: Got, case: Case) -> Any:
    if "higher_is_better" in given:
        return "higher" if given["higher_is_better"] else "lower"
    if given.get("lower_is_better") or "A12_a_better_if_lower_is_better" in case["expected"]:
        return "lower"
    lost = any(v is None or not math.isfinite(v) for v in [*given["a"], *given["b"]])
    return "higher" if lost else None


def diffs(given: Got, _: Case) -> Got:
    d = np.asarray(given["diffs"], dtype=float)
    got = facts(st.paired(d, np.zeros_like(d)))
    return got | {"p": got["wilcoxon_p"]}


def summaries(given: Got, _: Case) -> Got:
    a, b = (st.Summary(given[f"mean{i}"], given[f"std{i}"], given[f"n{i}"]) for i in (1, 2))
    got = facts(st.welch(a, b))
    return got | {"p_two_sided": got["p"], "significant_at_0.05": bool(got["p"] < 0.05)}


def blocks(given: Got, case: Case) -> Got:
    scores = np.array(given["scores"], dtype=float)
    if "taus" in given:
        return {"fraction_above": st.performance_profile(scores, given["taus"])}
    better = "higher" if given.get("higher_is_better", True) else "lower"
    if "control" in given:
        names = given.get("methods", ["C4.5"])
        return facts(st.against_control(scores, control=names.index(given["control"]), better=better))
    if "p_matrix" in case["expected"]:
        return facts(st.nemenyi(scores, better=better))
    got = facts(st.friedman(scores, better=better))
    got["published_rounded"] = np.round(got.get("average_ranks", []), 3)
    if "F" in got:
        plain = "chi2" in case["expected"]
        got |= {"chi2": got["chi2_uncorrected"], "F_iman_davenport": got["F_uncorrected" if plain else "F"]}
        got |= {"F_iman_davenport_from_Q": got["F"], "p_F_df_3_39": got["p"]}
        got |= {"p_F": got["p_F_uncorrected"] if plain else got["p"], "p": got["p_chi2"]}
    return got


def empty_blocks(given: Got, _: Case) -> Got:
    rng = np.random.default_rng(0)
    return facts(st.friedman(rng.random((given["n_blocks"], given["k"])), better="lower"))


def nemenyi_cd(given: Got, _: Case) -> Got:
    return facts(st.critical_difference(given["k"], given["n"], alpha=given["alpha"]))


def family(given: Got, case: Case) -> Got:
    adjust = st.benjamini_hochberg if "benjamini" in case["name"] else st.holm
    return {"p_adj": adjust(given["p"])}


def floors(given: Got, _: Case) -> Got:
    from searchbench.statistics.exact import min_p_paired, min_p_unpaired

    return {
        "wilcoxon_min_p": [min_p_paired(n) for n in given["wilcoxon_n"]],
        "mwu_min_p": [min_p_unpaired(n, n) for n in given["mwu_n_per_arm"]],
    }


def minimum_seeds(given: Got, _: Case) -> Got:
    return {
        "wilcoxon_min_seeds": [st.min_pairs(given["alpha"], m) for m in given["n_pairs"]],
        "mwu_min_seeds_per_arm": [st.min_per_arm(given["alpha"], m) for m in given["n_pairs"]],
    }


def improvement(given: Got, _: Case) -> Got:
    return facts(st.probability_of_improvement(np.array(given["x"], float), np.array(given["y"], float)))


def tried(given: Got, case: Case) -> Got:
    found = st.expected_best(given["values"], n=given.get("n"))
    got = facts(found) | {"n": found.get("n")}
    plug_in = "plug" in case["name"] or "dodge" in case["name"]
    return got | ({"expected_max": got["plug_in"]} if plug_in else {})


def beating_random(given: Got, _: Case) -> Got:
    return facts(st.relative_improvement(given["acc_method"], given["acc_random_sampling"]))


def published_random(given: Got, _: Case) -> Got:
    r = next(v for k, v in given.items() if k.startswith("acc_random"))
    return {
        "RI_dartsprime": st.improvement_of_means(given["acc_dartsprime"], r),
        "RI_darts": st.improvement_of_means(given["acc_darts_our_trials"], r),
    }


def proxies(given: Got, _: Case) -> Got:
    truth, proxy = (next(v for k, v in given.items() if k.startswith(n)) for n in ("ground_truth", "proxy"))
    got = facts(st.rank_correlation(truth, proxy, decimals=given.get("decimals")))
    got |= {"tau": got["tau_b"], "tau_b_raw": got["tau_b"]}
    got["tau_round_prediction_nb301"] = got.get("tau_round_prediction")
    return got | (facts(st.top_k(truth, proxy, given["k"])) if "k" in given else {})


def curves(given: Got, _: Case) -> Got:
    curve = st.Curve(
        tuple(given["times"]), tuple(given["incumbent_error"]), given["budget"], "evaluations",
        given.get("fill_before_first"),
    )  # fmt: skip
    return {"area": st.area(curve), "mean_over_budget": st.mean_regret(curve, best=0.0)}


def monotone(given: Got, case: Case) -> Got:
    best = st.incumbent(given["values_error"])
    asked = [k for k in case["expected"] if k.startswith("final_simple_regret_vs_")]
    return {"incumbent": best} | {k: best[-1] - float(k.rsplit("_", 1)[1]) for k in asked}


def whole_cost(given: Got, _: Case) -> Got:
    k, search, validate = given["k"], given["T_search"], given["T_valid"]
    return {
        "architecture_identification": st.end_to_end_cost(k, search=search, validate=validate),
        "automl_variant": st.end_to_end_cost(k, search=search, validate=validate, final=given["T_final"]),
    }


def selection(given: Got, _: Case) -> Got:
    better = "lower" if given["lower_is_better"] else "higher"
    got = facts(st.best_of_k(given["mean"], given["std"], given["k"], better=better))
    return got | {f"expected_order_stat_normal_k{given['k']}": got["order_statistic"]}


def running_time(given: Got, _: Case) -> Got:
    return facts(st.expected_running_time(st.Hits(tuple(given["hit_times"]), tuple(given["unsuccessful_budgets"]))))


def seed_lists(given: Got, _: Case) -> Got:
    return facts(st.pair_seeds(given["a_seeds"], given["b_seeds"]))


def proportion(given: Got, _: Case) -> Got:
    return facts(st.wilson(given["successes"], given["n"], level=given.get("confidence", 0.95)))


def failure_table(given: Got, _: Case) -> Got:
    arms = [st.arm([None] * lost + [1.0] * done, name=str(i)) for i, (lost, done) in enumerate(given["table"])]
    return facts(st.failure_rates(*arms))


def sample_size(given: Got, _: Case) -> Got:
    d, known = given["d"], {"alpha": given["alpha"], "power": given["power"]}
    pairs, per_arm = st.required_n(d, paired=True, **known), st.required_n(d, paired=False, **known)
    ranked = st.more_seeds(delta=d, sd=1.0, n_pilot=10**9, paired=True, rank_test=True, **known)
    return {
        "paired_n": pairs, "paired_n_ceil": math.ceil(pairs), "unpaired_n_per_arm": per_arm,
        "unpaired_ceil": math.ceil(per_arm), "wilcoxon_paired_ceil_ARE_0.955": ranked["ceil"],
    }  # fmt: skip


def had_power(given: Got, _: Case) -> Got:
    return facts(st.achieved(given["delta"], given["std1"], given["std2"], given["n"], alpha=given["alpha"]))


def pilot(given: Got, _: Case) -> Got:
    from searchbench.statistics.power import sd_upper_factor

    got = facts(st.more_seeds(
        delta=given["delta"], sd=given["pooled_sd"], n_pilot=given["n_pilot"], df=given["pooled_df"], paired=False,
        sd_confidence=given["sd_confidence"],
    ))  # fmt: skip
    got |= {f"sd_ucl_factor_df{df}": sd_upper_factor(df, given["sd_confidence"]) for df in range(1, 40)}
    return got | {"n_per_arm": got["n_required"]}


def published_factorial(given: Got, _: Case) -> Got:
    (base, _), *_rest = given["cells_mean_std_n4"].items()
    table = {
        frozenset() if name == base else frozenset(name.strip("+").split("+")): st.Summary(*value, 4)
        for name, value in given["cells_mean_std_n4"].items()
    }
    return _effects(st.factorial(table, ("FIMT", "PR"), paired_by_seed=False))


def blocked_factorial(given: Got, _: Case) -> Got:
    scores = np.array(next(iter(given.values())), dtype=float)
    cells = (frozenset(), frozenset({"FIMT"}), frozenset({"PR"}), frozenset({"FIMT", "PR"}))
    table = {cell: st.arm(scores[:, i]) for i, cell in enumerate(cells)}
    found = _effects(st.factorial(table, ("FIMT", "PR"), paired_by_seed=True))
    # The oracle gives the t-test beside the sign-flip test that leads.
    tested = {name: own | {"p": own["t_p"]} for name, own in found.items() if name != "p_holm"}
    return tested | {"p_holm": st.holm([own["p"] for own in tested.values()])}


def _effects(found: st.Factorial) -> Got:
    names = {"main_FIMT": "FIMT", "main_PR": "PR", "interaction": "FIMT × PR"}
    out: Got = {
        ours: dict(found[name].facts) | {"estimate": found[name].estimate, "p": found[name].p}
        for ours, name in names.items()
    }
    return out | {"p_holm": [found[name].p_adj for name in names.values()]}


Route = tuple[set[str], Callable[[Got, Case], Got]]
ROUTES: list[Route] = [
    ({"x", "y"}, improvement),
    ({"x"}, one),
    ({"diffs"}, diffs),
    ({"a", "b"}, two),
    ({"mean1", "mean2"}, summaries),
    ({"scores"}, blocks),
    ({"n_blocks", "k"}, empty_blocks),
    ({"k", "n", "alpha"}, nemenyi_cd),
    ({"successes", "n"}, proportion),
    ({"table"}, failure_table),
    ({"p"}, family),
    ({"wilcoxon_n"}, floors),
    ({"n_pairs"}, minimum_seeds),
    ({"scores_runs_x_tasks"}, lambda given, _: facts(st.iqm(given["scores_runs_x_tasks"]))),
    ({"values"}, tried),
    ({"acc_method", "acc_random_sampling"}, beating_random),
    ({"acc_dartsprime"}, published_random),
    ({"ground_truth", "proxy"}, proxies),
    ({"ground_truth_percent", "proxy_percent"}, proxies),
    ({"times", "incumbent_error"}, curves),
    ({"values_error"}, monotone),
    ({"T_search"}, whole_cost),
    ({"mean", "std", "k"}, selection),
    ({"hit_times"}, running_time),
    ({"a_seeds", "b_seeds"}, seed_lists),
    ({"d", "power"}, sample_size),
    ({"delta", "std1", "std2"}, had_power),
    ({"n_pilot", "pooled_sd"}, pilot),
    ({"cells_mean_std_n4"}, published_factorial),
    ({"scores_seed_x_[DARTS,FIMT,PR,FIMT+PR]"}, blocked_factorial),
]
