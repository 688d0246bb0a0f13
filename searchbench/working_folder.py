"""The folder one works in, as a place where Python looks for modules.

A plug-in given as `module:attr` may lie there, so it is searched; but last. First, as `python -m` has it, a file of the
user's that happens to be called `statistics.py` or `queue.py` would be imported instead of Python's own module. Imports
nothing but what Python has loaded already, for the same reason.
"""

from __future__ import annotations

import os
import sys


def search_last() -> None:
    """Search the working folder after everything else."""
    try:
        here = os.getcwd()
    except FileNotFoundError:  # it has been deleted
        return
    if sys.path and sys.path[0] in ("", here):
        del sys.path[0]
    if here not in sys.path:
        sys.path.append(here)
