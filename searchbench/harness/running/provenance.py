"""What results were made with: versions, commit, hardware."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

PACKAGES = (
    "searchbench",
    "torch",
    "ray",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "optuna",
    "pyarrow",
    "sqlalchemy",
    "hyperopt",
    "scikit-optimize",
    "cmaes",
    "smac",
    "nni",
)
"""Those that decide results, of the package and of the libraries that compete; what is not installed is left out."""


def provenance() -> dict[str, Any]:
    """Plain values, recorded with every study. Nothing in it enters a fingerprint."""
    return {
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "commit": _commit(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the package's own checkout, with "+changes" where files differ; None where it is installed."""
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", ".")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


@lru_cache(maxsize=1)
def host() -> str:
    """The machine that a run's seconds are of."""
    return f"{platform.node()} {platform.machine()} {platform.system()} Python {platform.python_version()}"
