"""Python code in a process of its own, and what it needed of memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PEAK = """
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
"""Of this program alone: what `getrusage` reports of a child begins with its parent's peak."""


def run_alone(code: str, *arguments: str) -> tuple[list[str], int]:
    """The words it printed, and its peak memory in bytes. It imports what tests do; where it fails, the test does."""
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc, which this system has not")
    command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}{PEAK}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *words, peak = done.stdout.split()
    return words, int(peak) * 1024
