"""The commands."""

from __future__ import annotations

from searchbench.cli.entry import main

__all__ = ["main"]
