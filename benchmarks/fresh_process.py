"""What a process of its own says."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


def printed_alone(command: Sequence[str]) -> int:
    """The number that a process of its own prints: its peak memory, say."""
    # through a shell, which is small: a child begins with its parent's peak
    whole = ["sh", "-c", '"$@"; exit $?', "sh", *command]
    return int(subprocess.run(whole, check=True, capture_output=True, text=True).stdout)
