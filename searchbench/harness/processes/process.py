"""How a process that does the work is set up."""

from __future__ import annotations

import importlib.util
import os
import sys


def one_thread() -> None:
    """One PyTorch thread in this process: parallelism comes from runs, and small kernels are slower on two.

    Set `SEARCHBENCH_THREADS` to use more. PyTorch is not imported for it: a run that never needs it does without.
    """
    threads = int(os.environ.get("SEARCHBENCH_THREADS", "1"))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if "torch" in sys.modules and importlib.util.find_spec("torch") is not None:
        import torch

        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
