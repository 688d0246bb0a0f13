"""Counter-based seeds: what streams share, and what they never share."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_lab import lab

from searchbench.errors import StudyError
from searchbench.seeds import ROLES, Seeds, derive, seed


def test_seed_is_the_first_64_bits_of_the_hash_of_what_it_is_for() -> None:
    digest = hashlib.sha256(b"study|7|noise|cell|full|0").hexdigest()
    assert seed("study", 7, "noise", "cell|full|0") == int(digest[:16], 16)


def test_every_stream_is_its_own() -> None:
    made = [seed(s, r, role, k) for s, r, role, k in itertools.product("ab", range(3), ROLES, ("", "x"))]
    assert len(set(made)) == len(made)


def test_unknown_role_is_refused() -> None:
    with pytest.raises(StudyError, match="must be one of split, order"):
        seed("study", 0, "nose")


def test_only_search_and_policy_are_private_to_a_strategy() -> None:
    mine, yours = Seeds("study", 0, "mine"), Seeds("study", 0, "yours")
    differing = {role for role in ROLES if mine.seed(role) != yours.seed(role)}
    assert differing == {"search", "policy"}


def test_replicates_and_studies_share_nothing() -> None:
    for role in ROLES:
        assert len({Seeds(s, r).seed(role) for s in ("a", "b") for r in range(5)}) == 10


def test_a_stream_is_at_its_beginning_whenever_it_is_asked_for() -> None:
    seeds = Seeds("study", 0)
    seeds.rng("init").random(100)
    assert np.array_equal(seeds.rng("init").random(5), Seeds("study", 0).rng("init").random(5))


def test_seeds_fit_the_libraries_that_take_them() -> None:
    seeds = [Seeds("study", r) for r in range(200)]
    assert all(0 <= s.python_seed("search") < 2**32 for s in seeds)
    assert all(0 <= s.torch_seed("supernet") < 2**63 for s in seeds)
    assert all(0 <= derive(s.seed("noise"), "child") < 2**63 for s in seeds)
    assert len({derive(1, str(i)) for i in range(200)}) == 200


def test_streams_are_the_same_in_another_process_with_another_hash_seed() -> None:
    code = "from searchbench.seeds import Seeds; print(Seeds('study', 3, 'me').rng('search', 'key').integers(2**62))"
    environment = dict(os.environ, PYTHONHASHSEED="4321", PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == Seeds("study", 3, "me").rng("search", "key").integers(2**62)


def test_neighbouring_streams_are_uncorrelated() -> None:
    draws = np.array([Seeds("study", r).rng("init").random(2000) for r in range(12)])
    correlations = np.corrcoef(draws)[np.triu_indices(12, 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(2000)


def streams_of(private: str) -> dict[str, Any]:
    """What a training lab of a strategy draws: a supernet's weights, minibatches, the images of a recalibration."""
    metered = lab()
    metered.scenario = replace(metered.scenario, seeds=Seeds("test", 0, private))
    supernet = metered.supernet()
    scored = metered.inherited(supernet, 8, 2)
    return {
        "supernet": next(iter(supernet.parameters())).detach().clone(),
        "order": next(metered.batches("train", 8)).inputs.clone(),
        "recalibration": scored._seed,  # type: ignore[attr-defined]
    }


def test_supernets_minibatches_and_recalibration_are_common_to_the_strategies_of_a_replicate() -> None:
    one, other = streams_of("darts"), streams_of("spos")
    assert torch.equal(one["supernet"], other["supernet"])
    assert torch.equal(one["order"], other["order"])
    assert one["recalibration"] == other["recalibration"]


def test_supernets_minibatches_and_recalibration_each_have_a_role_of_their_own() -> None:
    seeds, metered = Seeds("test", 0, "tiny"), lab()
    for key in ("", "stage 1"):
        expected = metered.supernets.bench.supernet(seeds.torch_seed("supernet", key))
        for ours, theirs in zip(metered.supernet(key=key).parameters(), expected.parameters(), strict=True):
            assert torch.equal(ours, theirs)
    for split in ("train", "valid"):
        for epoch in range(2):
            found = next(metered.batches(split, 8))
            expected = next(
                metered.supernets.bench.batches(split, 8, seeds.torch_seed("order", f"{split}|{epoch}"), (0.0, 1.0))
            )
            assert torch.equal(found.inputs, expected.inputs)
    scored = metered.inherited(metered.supernet(), 8, 2)
    assert scored._seed == seeds.torch_seed("order", "recalibrate")  # type: ignore[attr-defined]
