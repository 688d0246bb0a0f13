"""Differentiable architecture search: parts, one engine, and the papers as compositions."""

from __future__ import annotations

from searchbench.strategies.differentiable.adversary import Adversary
from searchbench.strategies.differentiable.composition import AlphaTraining, Differentiable
from searchbench.strategies.differentiable.credit import Exp3, LinearCredit, Shapley
from searchbench.strategies.differentiable.curvature import Lanczos
from searchbench.strategies.differentiable.discretise import (
    ArgmaxPerEdge,
    CappedTopEdges,
    SpaceRule,
    Threshold,
    TopEdges,
)
from searchbench.strategies.differentiable.edges import FullEdges, PartialChannels
from searchbench.strategies.differentiable.extras import (
    AuxiliarySkip,
    Cutout,
    DropPath,
    NodeNorm,
    RandomSmoothing,
    SkipDropout,
)
from searchbench.strategies.differentiable.finalists import Finalists
from searchbench.strategies.differentiable.halting import OperationStop
from searchbench.strategies.differentiable.hypergradient import FirstOrder, JointGradient, ScoreFunction, Unrolled
from searchbench.strategies.differentiable.prune import Milestones, Monotone, Perturbation, Stages, Unpruned
from searchbench.strategies.differentiable.prune_shares import BelowShare, Groups, Wipeout
from searchbench.strategies.differentiable.regularise import (
    Admm,
    BetaDecay,
    Complexity,
    DirichletDivergence,
    ExpectedCost,
    LogCost,
    Proximity,
    ScaledByCost,
    ZeroOne,
    ZeroOneLinear,
)
from searchbench.strategies.differentiable.relaxation import ClippedLinear, Sigmoid, Softmax
from searchbench.strategies.differentiable.relaxation_experts import AnnealedSoftmax, ByRank, ExpertAdvice, Template
from searchbench.strategies.differentiable.relaxation_pair import SoftPair
from searchbench.strategies.differentiable.relaxation_sampled import (
    BinaryGate,
    Concrete,
    CoolingConcrete,
    DirichletWeights,
    GumbelHard,
    Proximal,
)
from searchbench.strategies.differentiable.routes import LikeliestRoute, RoutedEdges
from searchbench.strategies.differentiable.schedule import (
    Alternate,
    Constant,
    FisherInformed,
    Joint,
    OncePerEpoch,
    WarmUp,
)
from searchbench.strategies.differentiable.split import Ratio, TaskSplit
from searchbench.strategies.differentiable.stop import (
    Eigenvalue,
    EigenvalueRestart,
    RankStability,
    SkipCount,
    ToTheEnd,
)
from searchbench.strategies.differentiable.update import AdamSteps, Assigned, Exponentiated
from searchbench.strategies.differentiable.widen import MoreChannels

__all__ = [
    "AdamSteps",
    "Admm",
    "Adversary",
    "AlphaTraining",
    "Alternate",
    "AnnealedSoftmax",
    "ArgmaxPerEdge",
    "Assigned",
    "AuxiliarySkip",
    "BelowShare",
    "BetaDecay",
    "BinaryGate",
    "ByRank",
    "CappedTopEdges",
    "ClippedLinear",
    "Complexity",
    "Concrete",
    "Constant",
    "CoolingConcrete",
    "Cutout",
    "Differentiable",
    "DirichletDivergence",
    "DirichletWeights",
    "DropPath",
    "Eigenvalue",
    "EigenvalueRestart",
    "Exp3",
    "ExpectedCost",
    "ExpertAdvice",
    "Exponentiated",
    "Finalists",
    "FirstOrder",
    "FisherInformed",
    "FullEdges",
    "Groups",
    "GumbelHard",
    "Joint",
    "JointGradient",
    "Lanczos",
    "LikeliestRoute",
    "LinearCredit",
    "LogCost",
    "Milestones",
    "Monotone",
    "MoreChannels",
    "NodeNorm",
    "OncePerEpoch",
    "OperationStop",
    "PartialChannels",
    "Perturbation",
    "Proximal",
    "Proximity",
    "RandomSmoothing",
    "RankStability",
    "Ratio",
    "RoutedEdges",
    "ScaledByCost",
    "ScoreFunction",
    "Shapley",
    "Sigmoid",
    "SkipCount",
    "SkipDropout",
    "SoftPair",
    "Softmax",
    "SpaceRule",
    "Stages",
    "TaskSplit",
    "Template",
    "Threshold",
    "ToTheEnd",
    "TopEdges",
    "Unpruned",
    "Unrolled",
    "WarmUp",
    "Wipeout",
    "ZeroOne",
    "ZeroOneLinear",
]
