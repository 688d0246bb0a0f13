"""Ctrl-C and SIGTERM end a command with status 130 and a sentence, from its first moments on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HOOK = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background may ignore it

class Hook:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            {act}

sys.meta_path.insert(0, Hook())
from searchbench.cli import main
main(["doctor", "--store", "nothing.db"])
"""
KILL = "os.kill(os.getpid(), {number})"
ACTS = {
    "plainly": KILL,
    "while a dataclass is made": f'exec("{KILL}")',
    "in a library that makes its own error of it": (
        f"exec('try:\\n {KILL}\\nexcept BaseException as e:\\n raise ImportError(\"no\") from e')"
    ),
}


@pytest.mark.parametrize("number", [2, 15])
@pytest.mark.parametrize(
    ("module", "act"),
    [("click", "plainly"), *(("searchbench.results.examination", act) for act in ACTS)],
    ids=["while the commands are imported", *ACTS],
)
def test_a_signal_ends_a_command_with_its_status_and_no_trace(
    module: str, act: str, number: int, tmp_path: Path
) -> None:
    (tmp_path / "hooked.py").write_text(HOOK.format(module=module, act=ACTS[act].format(number=number)))
    command = [sys.executable, "-m", "hooked"]  # as `python -m searchbench`: how Python itself ends depends on it
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert ended.returncode == 130
    assert ended.stderr.strip() == "searchbench: interrupted; finished runs are kept, and --resume runs what is missing"
