"""The frameworks that have an adapter, found in this folder."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from implicitloss.adapters.framework import Framework


def frameworks() -> dict[str, Framework]:
    """The frameworks by name: `FRAMEWORK` of each module of this folder that has one; the name is the module's."""
    names = sorted(module.name for module in pkgutil.iter_modules(sys.modules[__package__].__path__))
    modules = {name: importlib.import_module(f"{__package__}.{name}") for name in names}
    return {name: module.FRAMEWORK for name, module in modules.items() if hasattr(module, "FRAMEWORK")}
