"""The frameworks that have an adapter, found in this folder."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from implicitloss.adapters.framework import Framework

__all__ = ["frameworks"]

# Files of this folder that are no framework, and may ask for the frameworks themselves.
SKIPPED = {"discovery", "framework", "in_batch", "one_by_one"}


def frameworks() -> dict[str, Framework]:
    """The frameworks by name: `FRAMEWORK` of each module of this folder that has one; the name is the module's."""
    files = {module.name for module in pkgutil.iter_modules(sys.modules[__package__].__path__)}
    modules = {name: importlib.import_module(f"{__package__}.{name}") for name in sorted(files - SKIPPED)}
    return {name: module.FRAMEWORK for name, module in modules.items() if hasattr(module, "FRAMEWORK")}
