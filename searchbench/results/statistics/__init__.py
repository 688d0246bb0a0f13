"""Where `searchbench.statistics` stood until release 0.1; importing it from here works for one more release."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings

import searchbench.statistics as _moved

warnings.warn(
    "`searchbench.results.statistics` is now `searchbench.statistics`; the old path goes in release 0.3.",
    DeprecationWarning,
    stacklevel=2,
)
for _module in pkgutil.iter_modules(_moved.__path__):
    sys.modules[f"{__name__}.{_module.name}"] = importlib.import_module(f"{_moved.__name__}.{_module.name}")
sys.modules[__name__] = _moved
