"""Differentiable architecture search: parts, one engine, and the papers as compositions."""

from __future__ import annotations

from searchbench.strategies.differentiable.composition import AlphaTraining, Differentiable
from searchbench.strategies.differentiable.discretise import ArgmaxPerEdge
from searchbench.strategies.differentiable.hypergradient import FirstOrder
from searchbench.strategies.differentiable.relaxation import Softmax
from searchbench.strategies.differentiable.schedule import Alternate

__all__ = ["AlphaTraining", "Alternate", "ArgmaxPerEdge", "Differentiable", "FirstOrder", "Softmax"]
