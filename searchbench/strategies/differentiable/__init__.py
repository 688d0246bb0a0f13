"""Differentiable architecture search: parts, one engine, and the papers as compositions."""

from __future__ import annotations

from searchbench.strategies.differentiable.composition import AlphaTraining, Differentiable
from searchbench.strategies.differentiable.curvature import Lanczos
from searchbench.strategies.differentiable.discretise import (
    ArgmaxPerEdge,
    CappedTopEdges,
    SpaceRule,
    Threshold,
    TopEdges,
)
from searchbench.strategies.differentiable.edges import FullEdges, PartialChannels
from searchbench.strategies.differentiable.extras import AuxiliarySkip, Cutout, DropPath, NodeNorm, SkipDropout
from searchbench.strategies.differentiable.hypergradient import FirstOrder, JointGradient, ScoreFunction, Unrolled
from searchbench.strategies.differentiable.prune import Milestones, Monotone, Stages, Unpruned
from searchbench.strategies.differentiable.regularise import (
    Admm,
    Complexity,
    ExpectedCost,
    Proximity,
    ScaledByCost,
    ZeroOne,
    ZeroOneLinear,
)
from searchbench.strategies.differentiable.relaxation import ClippedLinear, Sigmoid, Softmax
from searchbench.strategies.differentiable.relaxation_sampled import BinaryGate, Concrete, GumbelHard, Proximal
from searchbench.strategies.differentiable.schedule import Alternate, Constant, FisherInformed, Joint, WarmUp
from searchbench.strategies.differentiable.split import Ratio, TaskSplit
from searchbench.strategies.differentiable.stop import (
    Eigenvalue,
    EigenvalueRestart,
    RankStability,
    SkipCount,
    ToTheEnd,
)

__all__ = [
    "Admm",
    "AlphaTraining",
    "Alternate",
    "ArgmaxPerEdge",
    "AuxiliarySkip",
    "BinaryGate",
    "CappedTopEdges",
    "ClippedLinear",
    "Complexity",
    "Concrete",
    "Constant",
    "Cutout",
    "Differentiable",
    "DropPath",
    "Eigenvalue",
    "EigenvalueRestart",
    "ExpectedCost",
    "FirstOrder",
    "FisherInformed",
    "FullEdges",
    "GumbelHard",
    "Joint",
    "JointGradient",
    "Lanczos",
    "Milestones",
    "Monotone",
    "NodeNorm",
    "PartialChannels",
    "Proximal",
    "Proximity",
    "RankStability",
    "Ratio",
    "ScaledByCost",
    "ScoreFunction",
    "Sigmoid",
    "SkipCount",
    "SkipDropout",
    "Softmax",
    "SpaceRule",
    "Stages",
    "TaskSplit",
    "Threshold",
    "ToTheEnd",
    "TopEdges",
    "Unpruned",
    "Unrolled",
    "WarmUp",
    "ZeroOne",
    "ZeroOneLinear",
]
