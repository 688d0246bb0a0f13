"""Every differentiable method on every space that it may search, in a process of its own under the allocator's checks:
a fault of memory in a backward pass kills a process long after, and somewhere else.
"""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from every_differentiable_step import SMALL

from searchbench.spaces import SPACES

PROGRAM = Path(__file__).with_name("every_differentiable_step.py")
CHECKED = {"MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165", "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
"""The allocator aborts at the first damage; AVX2 is the way through PyTorch's CPU backend whose fault is known."""


def checked():
    """The environment, with the allocator's checks where this system has them."""
    found = ctypes.util.find_library("c_malloc_debug")
    return os.environ | CHECKED | ({"LD_PRELOAD": found} if found else {}) | {"PYTHONPATH": os.pathsep.join(sys.path)}


def run_checked(*arguments):
    """How many methods ran."""
    command = [sys.executable, str(PROGRAM), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=checked(), check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return int(done.stdout.split()[-3])


@pytest.mark.slow
@pytest.mark.parametrize("space", sorted(SMALL))
def test_every_differentiable_method_steps_forward_and_backward(space):
    assert run_checked(space) >= (1 if space == "densenas" else 6)  # whose routes are one method's


def test_partial_channels_on_the_darts_space_step_forward_and_backward():
    assert run_checked("darts", "pc-darts") == 1


def test_no_space_with_a_supernet_of_edges_is_left_out():
    declared = ("hyperparameters", "schedules")  # where they are used
    spaces = {name: SPACES.factory(name) for name in SPACES.builtin if name not in declared}
    searched = {name for name, make in spaces.items() if make().wiring is not None and make().networks is not None}
    assert {name for name in searched if spaces[name]().shares_weights} == set(SMALL)
