from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from searchbench.cost import Budget
from searchbench.errors import SpaceError, StudyError
from searchbench.estimators.passages import Passages
from searchbench.estimators.train import Train
from searchbench.estimators.training import accumulate, measure
from searchbench.harness.declared.problem import Problem
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.results.columns import read_traces
from searchbench.seeds import Seeds
from searchbench.spaces.networks import Mixed, initialise
from searchbench.spaces.recurrent.cells import rnn_loose_ends
from searchbench.spaces.recurrent.darts_rnn import V1, V2, compact, darts_rnn
from searchbench.spaces.recurrent.enas_rnn import enas_rnn
from searchbench.spaces.recurrent.enas_rnn_networks import loose_ends
from searchbench.spaces.recurrent.networks import ACTIVATIONS, Passage
from searchbench.strategies import STRATEGIES
from searchbench.strategies.differentiable.papers_recurrent import recurrent
from searchbench.strategies.strategy import Scenario
from searchbench.tasks.task import Tokens
from searchbench.tasks.text import Text, descriptions, penn_treebank, wikitext2
from searchbench.trial import FULL

QUIET = {"dropout": 0.0, "dropout_hidden": 0.0, "dropout_inputs": 0.0, "dropout_embedded": 0.0, "slowness": 0.0}
TINY = darts_rnn(nodes=3, units=6, network_units=6, **QUIET)
TASK = descriptions(tokens=900, measured=200, vocabulary=40, epochs=3, columns=4, lr=1.0)
data_here = pytest.mark.skipif(
    not (Path(os.environ.get("SEARCHBENCH_DATA", "/nowhere")) / "wikitext-2").is_dir(),
    reason="WikiText-2 is not below SEARCHBENCH_DATA",
)


def built(module, seed=0):
    return initialise(module, seed)


def passage(length=4, streams=3, words=7, seed=0):
    tokens = torch.randint(words, (length, streams), generator=torch.Generator().manual_seed(seed))
    return Passage(tokens)


def text(count=100, bptt=7, deviation=0.0, columns=2, halved=0.0):
    return Passages(Tokens(np.arange(count, dtype=np.int64), bptt, deviation, columns, halved))


# -- the text ---------------------------------------------------------------------------------------------------


@data_here
def test_wikitext2_has_the_published_numbers_of_tokens() -> None:
    task = wikitext2()
    assert [len(task._part(part, 1).tokens) for part in range(3)] == [2_088_628, 217_646, 245_569]
    assert task.classes == 33_278


@data_here
def test_a_scaled_text_is_the_beginning_with_rare_words_replaced() -> None:
    task = wikitext2(tokens=5000, measured=1000, vocabulary=200)
    assert [len(task._part(part, 1).tokens) for part in range(3)] == [5000, 1000, 1000]
    assert task.classes == 200


def test_penn_treebank_is_read_from_its_three_files(tmp_path) -> None:
    for part, words in (("train", " a b \n c a \n"), ("valid", " a <unk> \n"), ("test", " b \n")):
        (tmp_path / f"ptb.{part}.txt").write_text(words)
    task = penn_treebank(str(tmp_path))
    assert task.classes == 5
    assert task._part(0, 1).tokens.tolist() == [0, 1, 2, 3, 0, 2]
    assert task._part(1, 1).tokens.tolist() == [0, 4, 2]


def test_the_bundled_text_needs_no_download_and_search_never_sees_the_test() -> None:
    data = descriptions().search_data(Seeds("t", 0))
    assert len(data.train.tokens) > 5000
    assert data.classes == 500
    assert not hasattr(data, "test")


@pytest.mark.parametrize(
    "wrong", [{"tokens": 1}, {"bptt": 0}, {"vocabulary": 1}, {"deviation": -1.0}, {"halved": 2}, {"lr": 0}]
)
def test_an_impossible_text_is_refused(wrong) -> None:
    with pytest.raises(StudyError, match="must"):
        Text("descriptions", **wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            {"tokens": 100, "batch_size": 64},
            r"64 streams \(`batch_size`\) need at least 128 tokens, but `tokens` is 100",
        ),
        ({"measured": 30, "columns": 16}, "`measured` is 30"),
        ({"measured": 30, "test_columns": 16}, "`test_columns`"),
    ],
)
def test_a_text_too_short_for_its_streams_is_refused_before_anything_is_read(wrong, says) -> None:
    with pytest.raises(StudyError, match=says):
        Text("wikitext2", **wrong)


def test_streams_are_read_in_order_and_every_target_is_the_next_token() -> None:
    batches = list(text().epoch(4, seed=0))
    assert sum(len(batch) for batch in batches) == text().count(4) == sum(text().sizes(4, 0)) == 96
    first = batches[0]
    assert first.inputs.tokens[:, 0].tolist() == list(range(7))
    assert first.inputs.tokens[0].tolist() == [0, 25, 50, 75]
    assert torch.equal(first.targets.view(7, 4), first.inputs.tokens + 1)


def test_lengths_of_passages_are_a_function_of_the_seed_and_scale_the_rate() -> None:
    long = text(20_000, bptt=35, deviation=5.0, halved=0.05)
    assert long.sizes(4, 1) == long.sizes(4, 1) != long.sizes(4, 2)
    assert sum(long.sizes(4, 1)) == sum(long.sizes(4, 2)) == long.count(4)
    lengths = [size // 4 for size in long.sizes(4, 1)]
    assert 5 <= min(lengths[:-1]) <= 35 <= max(lengths) <= 55
    assert [len(b) for b in long.epoch(4, 1)] == long.sizes(4, 1)
    assert all(b.rate == len(b) / 4 / 35 for b in long.epoch(4, 1))


def test_the_state_is_carried_from_passage_to_passage_and_begins_with_zeros() -> None:
    network = built(network_of(TINY, V3, 100))
    before = []
    for batch in text().epoch(4, 0):
        before.append(batch.inputs.before)
        network(batch.inputs)
    assert before[0] is None
    assert before[1].shape == (4, 6)
    assert not before[1].requires_grad


def test_disjoint_shares_of_a_text_have_no_token_in_common() -> None:
    seen = [
        {int(t) for b in text().epoch(2, 0, share) for t in b.inputs.tokens.ravel()} for share in ((0, 0.5), (0.5, 1))
    ]
    assert not seen[0] & seen[1]


def test_a_text_too_short_for_its_streams_says_what_to_lower() -> None:
    with pytest.raises(StudyError, match="lower `batch_size`"):
        text(10).count(6)


# -- the cells ---------------------------------------------------------------------------------------------------

V3 = "relu:0 tanh:0 sigmoid:2"


def network_of(space, cell, vocabulary):
    return space.builder().network(compact(space, cell), (), vocabulary)


@pytest.mark.parametrize(
    ("units", "vocabulary", "params"), [(850, 10_000, 22_960_000), (300, 10_000, 4_810_000), (700, 33_278, 33_127_878)]
)
@pytest.mark.parametrize("cell", [V1, V2])
def test_parameters_are_the_published_integers(units, vocabulary, params, cell) -> None:
    space = darts_rnn(network_units=units)
    network = network_of(space, cell, vocabulary)
    assert sum(p.numel() for p in network.parameters()) == params
    assert space.builder().size(compact(space, cell), (), vocabulary)[0] == params


def test_the_supernet_has_as_many_parameters_as_a_network_of_its_width() -> None:
    supernet = darts_rnn().builder().supernet((), 10_000)
    assert sum(p.numel() for p in supernet.parameters()) == 4_810_000
    assert len(supernet.options) == 36


def test_a_cell_with_eleven_nodes_has_the_parameters_of_the_published_enas_cell() -> None:
    space = darts_rnn(nodes=11)
    assert space.builder().size(space.sample(np.random.default_rng(0)), (), 10_000)[0] == 27_295_000


def test_genotypes_are_read_and_printed_as_the_literature_does() -> None:
    space = darts_rnn()
    architecture = compact(space, V2)
    assert str(architecture).startswith("Genotype(recurrent=[('sigmoid', 0), ('relu', 1), ('relu', 1), ('identity', 1)")
    assert space.parse(str(architecture)) == architecture
    with pytest.raises(SpaceError, match="recurrent"):
        space.parse("Genotype(normal=[])")


def test_a_derived_cell_computes_the_published_equations() -> None:
    network = built(network_of(TINY, V3, 7)).eval()
    given = passage(length=1)
    logits = network(given)
    weights = network.cell.weights
    x = network.embedding[given.tokens[0]]
    h = torch.zeros_like(x)
    gate, candidate = (torch.cat([x, h], -1) @ weights.first).chunk(2, -1)
    states = [h + gate.sigmoid() * (candidate.tanh() - h)]
    for (source, f), weight in zip(((0, torch.relu), (0, torch.tanh), (2, torch.sigmoid)), weights.nodes, strict=True):
        gate, candidate = (states[source] @ weight).chunk(2, -1)
        states.append(states[source] + gate.sigmoid() * (f(candidate) - states[source]))
    output = sum(states[1:]) / 3
    assert torch.allclose(logits, output @ network.embedding.t() + network.bias, atol=1e-6)
    assert torch.allclose(given.after, output, atol=1e-6)


def literal_mixture(supernet, given, rows):
    """The search cell written out, an edge and an operation at a time."""
    cell, weights = supernet.cell, supernet.cell.weights
    state = torch.zeros(given.tokens.shape[1], 6)
    outputs = []
    for tokens in given.tokens:
        gate, candidate = (torch.cat([supernet.embedding[tokens], state], -1) @ weights.first).chunk(2, -1)
        nodes, at = [cell.norm(state + gate.sigmoid() * (candidate.tanh() - state))], 0
        for weight in weights.nodes:
            total = 0.0
            for source in list(nodes):
                gate, candidate = (source @ weight).chunk(2, -1)
                for share, f in zip(rows[at][1:], ACTIVATIONS.values(), strict=True):
                    total = total + share * (source + gate.sigmoid() * (f(candidate) - source))
                at += 1
            nodes.append(cell.norm(total))
        state = sum(nodes[1:]) / 3
        outputs.append(state)
    return torch.cat(outputs) @ supernet.embedding.t() + supernet.bias


def test_a_mixture_is_the_published_sum_and_none_only_keeps_its_share() -> None:
    supernet = built(TINY.builder().supernet((), 7))
    rows = torch.rand((6, 5), generator=torch.Generator().manual_seed(1)).softmax(-1)
    mixed = supernet(passage(streams=5), Mixed(rows.unbind(0)))
    assert torch.allclose(mixed, literal_mixture(supernet, passage(streams=5), rows), atol=1e-5)


def test_a_path_is_the_mixture_of_ones_at_its_operations() -> None:
    supernet = built(TINY.builder().supernet((), 7))
    architecture = compact(TINY, V3)
    path = supernet.path(architecture)
    rows = F.one_hot(torch.tensor(path), 5).float()
    rows[:, 0] = 0
    assert torch.allclose(supernet(passage(), path), literal_mixture(supernet, passage(), rows), atol=1e-5)
    assert supernet.architecture(path) == architecture
    assert supernet.macs(path) == 7 * 6 + 4 * 36 + 3 * 72
    assert supernet.macs(Mixed(rows.unbind(0))) == 7 * 6 + 4 * 36 + 6 * 72


def test_operations_that_are_not_active_weigh_nothing() -> None:
    supernet = built(TINY.builder().supernet((), 7))
    rows = torch.rand((6, 5), generator=torch.Generator().manual_seed(1)).softmax(-1)
    active = ((1, 2), (0,), (1, 4), (3,), (2, 3), (0, 1))
    kept = torch.zeros_like(rows)
    for at, ops in enumerate(active):
        kept[at, list(ops)] = rows[at, list(ops)]
    found = supernet(passage(), Mixed(rows.unbind(0), active))
    assert torch.allclose(found, literal_mixture(supernet, passage(), kept), atol=1e-5)


def test_dropout_is_a_function_of_the_passage_and_absent_in_evaluation() -> None:
    space = darts_rnn(nodes=3, units=6, network_units=6)
    network = built(network_of(space, V3, 7))
    assert torch.equal(network(passage()), network(passage()))
    other = passage()
    other.seed = 1
    assert not torch.equal(network(passage()), network(other))
    network.eval()
    assert torch.equal(network(passage()), network(other))


def test_slowness_is_descended_but_not_reported() -> None:
    plain, slow = (
        built(network_of(darts_rnn(3, 6, 6, **{**QUIET, "slowness": s}, dropout_words=0.0), V3, 7)) for s in (0.0, 5.0)
    )
    targets = torch.zeros(12, dtype=torch.int64)
    assert accumulate(plain, passage(), targets) == accumulate(slow, passage(), targets)
    assert not torch.equal(plain.cell.weights.first.grad, slow.cell.weights.first.grad)


def test_text_and_images_do_not_go_together() -> None:
    with pytest.raises(StudyError, match="read text"):
        Problem("darts-rnn", "digits", "train").resolve()
    with pytest.raises(StudyError, match="read images"):
        Problem("nasbench201", "descriptions", "train").resolve()


# -- ENAS ---------------------------------------------------------------------------------------------------------

ENAS = enas_rnn(nodes=4, units=6, network_units=6, **QUIET)


def test_samples_that_share_an_input_and_an_activation_share_the_tensor() -> None:
    cell = ENAS.builder().supernet((), 7).cell
    assert cell.weight(3, 1, "relu") is cell.weight(3, 1, "relu")
    assert len({id(w) for w in cell.matrices.values()}) == 4 * (1 + 2 + 3 + 4)


def test_only_the_matrices_of_a_path_get_a_gradient() -> None:
    supernet = built(ENAS.builder().supernet((), 7))
    architecture = ENAS.sample(np.random.default_rng(3))
    accumulate(
        lambda given: supernet(given, supernet.path(architecture)), passage(), torch.zeros(12, dtype=torch.int64)
    )
    touched = {name for name, weight in supernet.cell.matrices.items() if weight.grad is not None}
    values = architecture.values
    chosen = {f"{node} {values[2 * node - 2]} {values[2 * node - 1]}" for node in range(1, 5)}
    ends = rnn_loose_ends(architecture)
    assert touched <= chosen
    assert {name for name in chosen if int(name[0]) in ends} <= touched


def test_loose_ends_are_what_nobody_reads_and_their_weights_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        architecture = ENAS.sample(rng)
        terms = list(zip(architecture.values[::2], architecture.values[1::2], strict=True))
        ends = loose_ends(terms)
        assert ends == rnn_loose_ends(architecture)
        assert set(ends) == set(range(5)) - {source for source, _ in terms} != set()
    ones = torch.stack([torch.ones(3)] * len(ends)).mean(0)
    assert torch.equal(ones, torch.ones(3))


def test_a_path_computes_what_the_network_with_the_same_weights_computes() -> None:
    supernet = built(ENAS.builder().supernet((), 7))
    architecture = ENAS.sample(np.random.default_rng(1))
    network = built(ENAS.builder().network(architecture, (), 7))
    kept = {name: value for name, value in supernet.state_dict().items() if name in network.state_dict()}
    network.load_state_dict(kept)
    assert torch.equal(supernet.eval()(passage(), supernet.path(architecture)), network.eval()(passage()))


def test_recurrent_enas_cells_have_no_mixture() -> None:
    supernet = built(ENAS.builder().supernet((), 7))
    with pytest.raises(SpaceError, match="no mixtures"):
        supernet(passage(), Mixed([torch.ones(1)] * 8))


# -- training and searching -----------------------------------------------------------------------------------------


def opened(space=TINY, task=TASK, **parameters):
    return Train(device="cpu", **parameters).open(space, task, Seeds("t", 0))


@pytest.mark.parametrize("space", [TINY, ENAS], ids=["darts-rnn", "enas-rnn"])
def test_training_a_cell_lowers_its_perplexity_below_that_of_guessing(space) -> None:
    estimator = opened(space, curve=True)
    architecture = space.sample(np.random.default_rng(0))
    measurement, cost = estimator.evaluate(architecture, estimator.complete(FULL), seed=1)
    curve = [measurement.metrics[f"valid_perplexity_{epoch}"] for epoch in (1, 2, 3)]
    assert measurement.value == min(curve) < curve[0] < TASK.classes
    assert measurement.metrics["valid_loss"] == pytest.approx(np.log(measurement.value))
    assert cost.train_samples == 3 * (900 // 8 - 1) * 8
    again, charged = opened(space, curve=True).evaluate(architecture, estimator.complete(FULL), seed=1)
    assert (measurement, cost.macs) == (again, charged.macs)


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary() -> None:
    network = built(network_of(TINY, V3, TASK.classes))
    with torch.no_grad():
        network.embedding.zero_()
    valid = Passages(TASK.search_data(Seeds("t", 0)).valid)
    assert measure(network, valid) == pytest.approx(TASK.classes, rel=1e-5)


def searched(name, space=TINY, samples=10**9, **parameters):
    strategy = recurrent(STRATEGIES.factory(name)(**parameters), epochs=2, batch_size=8, lr=5.0)
    scenario = Scenario(space, Seeds("t", 0, name), Budget(samples=samples), trains=True)
    reason = strategy.unsupported(scenario)
    if reason is not None:
        return reason
    estimator = opened(space)
    lab = MeteredLab(scenario, estimator, "charge", estimator.bench())
    drive(strategy.start(scenario), lab)
    return lab


LEGAL = [
    *("darts", "darts-second-order", "darts-cs", "darts-fimt", "darts-pr", "darts-admm", "darts-prime"),
    *("darts-plus-rank", "fair-darts", "pd-darts", "r-darts-l2", "nasp", "gdas", "snas", "proxyless"),
    "proxyless-reinforce",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", LEGAL)
def test_every_differentiable_method_hands_over_a_recurrent_cell(name) -> None:
    lab = searched(name)
    assert not isinstance(lab, str), lab
    assert lab.final.architecture in TINY


def test_darts_searches_recurrent_cells_and_repeats_itself() -> None:
    first, second = searched("darts"), searched("darts")
    assert first.final.architecture == second.final.architecture
    assert first.spent.train_samples == second.spent.train_samples > 0


def test_a_search_on_a_text_logs_perplexities_that_fall_and_no_accuracies() -> None:
    lines = read_traces(searched("darts").traces.to_bytes()).to_pylist()
    for name in ("train", "valid"):
        values = [line[f"{name}_perplexity"] for line in lines]
        assert values == pytest.approx([math.exp(line[f"{name}_loss"]) for line in lines])
        assert values[-1] < values[0] < 2 * TASK.classes
    assert not [name for name in lines[0] if "accuracy" in name]


@pytest.mark.parametrize("name", ["pc-darts", "darts-minus", "p-darts"])
def test_methods_that_change_edges_are_refused_with_the_rule(name) -> None:
    assert "has no form" in searched(name)


@pytest.mark.slow
@pytest.mark.parametrize("space", [TINY, ENAS], ids=["darts-rnn", "enas-rnn"])
def test_single_path_supernets_are_trained_and_searched_on_text(space) -> None:
    lab = searched("random-sharing", space, samples=6000)
    assert lab.final.architecture in space


def test_settings_of_language_models_need_a_strategy_that_trains() -> None:
    with pytest.raises(StudyError, match="trains a supernet"):
        recurrent("darts")
