"""The folder one works in, as a place where Python looks for modules.

A plug-in given as `module:attr` may lie there, so it is searched; but last. First, as `python -m` has it, a file of the
user's that happens to be called `statistics.py` or `queue.py` would be imported instead of Python's own module. Imports
nothing but what Python has loaded already, for the same reason.
"""

from __future__ import annotations

import os
import sys

DRIVER = "SEARCHBENCH_DRIVER_FOLDER"
"""Variable in which a worker is told the folder that its driver works in; Ray puts that first in its path."""


def search_last() -> None:
    """Search the working folder, and in a worker its driver's, after everything else."""
    for folder in (os.environ.get(DRIVER), here()):
        if folder is None:
            continue
        if sys.path and sys.path[0] in ("", folder):
            del sys.path[0]
        if folder not in sys.path:
            sys.path.append(folder)


def here() -> str | None:
    """The working folder; None where it has been deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
