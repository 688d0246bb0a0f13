"""Every registered space with settings so small that its networks are built, run and compared in a moment."""

from __future__ import annotations

from typing import Any

from searchbench import Space
from searchbench.testing.spaces import told

STAGES = {"layers": (2, 2), "last": 16, "stem_stride": 1}

SMALL: dict[str, dict[str, Any]] = {
    "nasbench201": {"channels": 4, "cells": 1, "stages": 1},
    "darts": {"channels": 4, "cells": 3},
    "darts-s1": {"channels": 4, "cells": 3},
    "darts-s2": {"channels": 4, "cells": 3},
    "darts-s3": {"channels": 4, "cells": 3},
    "darts-s4": {"channels": 4, "cells": 3},
    "darts-nasp": {"channels": 4, "cells": 3},
    "nasbench101": {"channels": 8, "stacks": 1, "modules": 1},
    "shuffle": {"stem": 8, "channels": (16, 32), **STAGES},
    "shuffle-channels": {"stem": 8, "channels": (20, 40), **STAGES},
    "mobile-fairnas": {"stem": 8, "first": 8, "channels": (8, 16), "strides": (1, 2), **STAGES},
    "mobile-proxyless": {"stem": 8, "first": 8, "channels": (8, 16), "strides": (1, 2), **STAGES},
    "fbnet": {"stem": 8, "channels": (8, 16), "strides": (1, 2), **STAGES},
    "mobile-ofa": {"stem": 8, "first": 8, "channels": (8, 16), "strides": (1, 2), "depths": (1, 2), "last": 16},
    "mobile-superkernel": {"stem": 8, "first": 8, "channels": (8, 16), "strides": (1, 2), **STAGES},
    "mobile-scarlet": {"stem": 8, "first": 8, "channels": (8, 16), "strides": (1, 2), **STAGES},
    "mixnet": {"stem": 8, "first": 8, "channels": (8, 16), "strides": (1, 2), "squeezes": (0.0, 0.25), **STAGES},
    "mixpath": {"stem": 8, "channels": (8, 16), "strides": (1, 2), **STAGES},
    "macro": {"stem": 4, "layers": (2, 2), "last": 16},
    "nats-sss": {},
    "chain": {"layers": 3, "filters": (4, 8), "strides": True},
    "auto-keras": {"channels": 4, "stages": 2, "layers": 2, "widths": 2, "dense": 4},
    "mnasnet": {"stem": 8, "channels": (8, 16), "layers": (1, 2), "strides": (1, 2), "last": 16},
    "densenas": {"stem": 8, "first": 8, "widths": ((8, 12), (16,)), "strides": (1, 2), "layers": 2, "last": 16},
    "efficientnet": {"stem": 8, "channels": (8,), "layers": (1,), "strides": (1,), "expansions": (6,), "kernels": (3,)},
    "nsga-net": {"nodes": 3, "channels": 4},
    "randwire": {"channels": 8, "nodes": 8},
    "randwire-regular": {"channels": 8, "nodes": 16},
    "nasnet": {"channels": 4, "cells": 1},
    "pnas": {"blocks": 3, "channels": 4, "cells": 1},
    "hierarchical": {"channels": 4},
    "enas-macro": {"layers": 4, "channels": 4},
    "darts-rnn": {"units": 16, "network_units": 16},
    "enas-rnn": {"units": 16, "network_units": 16},
    "enas-micro": {"channels": 4, "cells": 1},
    "hyperparameters": {
        "rate": {"float": [1e-4, 1e-1], "log": True},
        "optimizer": ["sgd", "adam"],
        "momentum": {"float": [0.0, 0.9], "when": {"optimizer": "sgd"}},
        "layers": {"int": [1, 4]},
    },
    "schedules": {
        "intervals": 3,
        "setting": {"rate": {"float": [1e-4, 1e-1], "log": True}, "optimizer": ["sgd", "adam"]},
    },
}

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("chain", {"layers": 15}),
    ("chain", {"layers": 3, "skips": False}),
    ("chain", {"layers": 3, "strides": True}),
    ("shuffle", {}),
    ("shuffle-channels", {}),
    ("mobile-fairnas", {}),
    ("mobile-proxyless", {}),
    ("mobile-proxyless", {"zero": False}),
    ("fbnet", {}),
    ("mobile-ofa", {}),
    ("mobile-superkernel", {}),
    ("mobile-scarlet", {}),
    ("mixnet", {"pointwise": ("", "a", "p", "ap")}),
    ("mixpath", {"paths": 3}),
    ("macro", {}),
    ("auto-keras", {}),
    ("mnasnet", {}),
    ("efficientnet", {"phis": (0, 1, 2, 3.5)}),
    ("nsga-net", {}),
    ("densenas", {}),
    ("enas-macro", {}),
    ("enas-rnn", {}),
    ("nasnet", {"combiners": ("add", "concat")}),
    ("pnas", {}),
    ("randwire", {"generators": ("WS(4,0.75)", "BA(5)", "ER(0.2)")}),
    ("darts", {"sparse": True}),
]
"""Other settings whose points are drawn, written and read, without building their networks."""


def each(spaces: list[Space]) -> list[Any]:
    """Draws of each, as they are written, keyed and encoded; another process is asked for the same."""
    return [told(space, 5) for space in spaces]
