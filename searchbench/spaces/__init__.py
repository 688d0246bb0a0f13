"""Search spaces."""

from __future__ import annotations

from searchbench.registry import Entry, Registry
from searchbench.spaces.choices import Choice, Decision, Float, Integer, When
from searchbench.spaces.space import Architecture, Space

SPACES = Registry(
    kind="space",
    group="searchbench.spaces",
    builtin={
        "nasbench201": Entry(
            "searchbench.spaces.nasbench201.space:nasbench201",
            "one cell, six edges, five operations: 15,625 strings, 6,466 distinct (Dong & Yang 2020)",
        ),
        "darts": Entry(
            "searchbench.spaces.darts.space:darts",
            "a normal and a reduction cell of four nodes, two inputs each: 1.1e18 genotypes (Liu et al. 2019)",
        ),
        "darts-s1": Entry(
            "searchbench.spaces.darts.robust:darts_s1", "two operations per edge, other ones on each (Zela et al. 2020)"
        ),
        "darts-s2": Entry(
            "searchbench.spaces.darts.robust:darts_s2", "skip or separable convolution on every edge (Zela et al. 2020)"
        ),
        "darts-nasp": Entry(
            "searchbench.spaces.darts.nasp:darts_nasp", "DARTS cells of NASP's larger operations (Yao et al. 2020)"
        ),
        "darts-s3": Entry("searchbench.spaces.darts.robust:darts_s3", "S2 and nothing (Zela et al. 2020)"),
        "darts-s4": Entry(
            "searchbench.spaces.darts.robust:darts_s4",
            "noise or separable convolution on every edge (Zela et al. 2020)",
        ),
        "nasbench101": Entry(
            "searchbench.spaces.graphs.nasbench101:nasbench101",
            "one cell of at most 7 vertices and 9 edges: 423,624 distinct (Ying et al. 2019)",
        ),
        "shuffle": Entry(
            "searchbench.spaces.chains.shuffle:shuffle",
            "20 ShuffleNet blocks of four kinds: 1.1e12 networks (Guo et al. 2020, SPOS)",
        ),
        "shuffle-channels": Entry(
            "searchbench.spaces.chains.shuffle:shuffle_channels",
            "the same with eight widths a block (Guo et al. 2020, SPOS)",
        ),
        "mobile-fairnas": Entry(
            "searchbench.spaces.chains.mobile:mobile_fairnas",
            "19 inverted residuals of six kinds: 6.1e14 networks (Chu et al. 2019, FairNAS)",
        ),
        "mobile-proxyless": Entry(
            "searchbench.spaces.chains.mobile:mobile_proxyless",
            "21 inverted residuals of six kinds, 15 of which can be left out: 2.2e17 networks (Cai et al. 2019)",
        ),
        "fbnet": Entry(
            "searchbench.spaces.chains.fbnet:fbnet",
            "22 inverted residuals of eight kinds, 16 of which can be left out: 4.9e20 networks (Wu et al. 2019)",
        ),
        "mobile-ofa": Entry(
            "searchbench.spaces.chains.elastic:mobile_ofa",
            "five stages of two to four layers, kernels and widths cut from one: 2.2e19 networks (Cai et al. 2020)",
        ),
        "mobile-superkernel": Entry(
            "searchbench.spaces.chains.elastic:mobile_superkernel",
            "21 layers whose options are parts of one kernel: 1.25e14 networks (Stamoulis et al. 2019)",
        ),
        "mobile-scarlet": Entry(
            "searchbench.spaces.chains.scarlet:mobile_scarlet",
            "19 layers with squeeze and excite, skips stabilised in the supernet: 9.0e20 networks (Chu et al. 2021)",
        ),
        "mixnet": Entry(
            "searchbench.spaces.chains.kernels:mixnet",
            "15 layers whose channels are divided among up to five kernels: 1e15 networks (Tan & Le 2019)",
        ),
        "mixpath": Entry(
            "searchbench.spaces.chains.kernels:mixpath",
            "12 layers of one or two kernels at a time, added: 4.1e15 networks (Chu et al. 2023)",
        ),
        "densenas": Entry(
            "searchbench.spaces.chains.densenas:densenas",
            "blocks of ascending widths, of which any are taken, and their layers: 4.1e45 (Fang et al. 2020)",
        ),
        "macro": Entry(
            "searchbench.spaces.chains.nasbench_macro:macro",
            "8 layers of three kinds: 6,561 networks, 3,969 distinct (Su et al. 2021, NAS-Bench-Macro)",
        ),
        "nats-sss": Entry(
            "searchbench.spaces.chains.nats_sizes:nats_sizes",
            "five widths out of eight: 32,768, for its table (Dong et al. 2021, NATS-Bench)",
        ),
        "chain": Entry(
            "searchbench.spaces.chains.zoph:chain",
            "convolutions layer by layer with skip connections (Zoph & Le 2017)",
        ),
        "auto-keras": Entry(
            "searchbench.spaces.chains.morphisms:grown",
            "convolutions inserted, widened and connected by skips, within bounds: 5.8e38 networks (Jin et al. 2019)",
        ),
        "mnasnet": Entry(
            "searchbench.spaces.chains.mnasnet:mnasnet",
            "seven blocks of like layers on MobileNetV2's skeleton: 432 forms each (Tan et al. 2019)",
        ),
        "efficientnet": Entry(
            "searchbench.spaces.chains.efficientnet:efficientnet",
            "depth, width and resolution of EfficientNet-B0, apart or compound: 336 scalings (Tan & Le 2019)",
        ),
        "nsga-net": Entry(
            "searchbench.spaces.graphs.phases:phases",
            "three phases of six nodes, a bit per connection: 2.8e14 (Lu et al. 2019, NSGA-Net)",
        ),
        "randwire": Entry(
            "searchbench.spaces.graphs.randwire:randwire",
            "randomly wired networks of the small regime, by a graph generator (Xie et al. 2019)",
        ),
        "randwire-regular": Entry(
            "searchbench.spaces.graphs.randwire:randwire_regular",
            "randomly wired networks of the regular regime (Xie et al. 2019)",
        ),
        "nasnet": Entry(
            "searchbench.spaces.block_cells.nasnet:nasnet",
            "a normal and a reduction cell of five blocks: 5.6e14 forms each (Zoph et al. 2018)",
        ),
        "pnas": Entry(
            "searchbench.spaces.block_cells.nasnet:pnas",
            "one cell of one to five blocks: 5.6e14 (Liu et al. 2018, PNAS)",
        ),
        "hierarchical": Entry(
            "searchbench.spaces.graphs.hierarchical:hierarchical",
            "a cell made of six motifs made of six operations: 7.5e38 (Liu et al. 2018, hierarchical)",
        ),
        "enas-macro": Entry(
            "searchbench.spaces.enas.macro:enas_macro",
            "12 layers of six operations with skips, shared weights: 1.6e29 networks (Pham et al. 2018, ENAS)",
        ),
        "darts-rnn": Entry(
            "searchbench.spaces.recurrent.darts_rnn:darts_rnn",
            "recurrent cells of eight nodes, one input each: 2.6e9 (Liu et al. 2019)",
        ),
        "enas-rnn": Entry(
            "searchbench.spaces.recurrent.enas_rnn:enas_rnn",
            "recurrent cells of 12 nodes: 8.0e15 (Pham et al. 2018, ENAS)",
        ),
        "enas-micro": Entry(
            "searchbench.spaces.enas.micro:enas_micro",
            "cells of five blocks with shared weights: 5.1e12 forms each (Pham et al. 2018, ENAS)",
        ),
        "hyperparameters": Entry(
            "searchbench.spaces.hyperparameters:hyperparameters",
            "declared in the study: numbers, log scales, categories, conditions",
        ),
        "schedules": Entry(
            "searchbench.spaces.schedules:schedules",
            "declared hyper-parameters, once for each interval of a training (as Jaderberg et al. 2017)",
        ),
    },
)

__all__ = ["SPACES", "Architecture", "Choice", "Decision", "Float", "Integer", "Space", "When"]
