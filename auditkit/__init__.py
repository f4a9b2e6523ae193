"""Turns the state of Kubernetes clusters into SOC 2 evidence that an auditor can rely on."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from auditkit.errors import instead

if TYPE_CHECKING:
    from auditkit.api import (
        History,
        capture,
        changes,
        check,
        checks,
        controls,
        demo,
        facts,
        load,
        period,
        reach,
        requirements,
        run,
        save,
        tables,
        verify,
        who_can,
        workpaper,
        write,
    )

__all__ = [
    "History",
    "capture",
    "changes",
    "check",
    "checks",
    "controls",
    "demo",
    "facts",
    "load",
    "period",
    "reach",
    "requirements",
    "run",
    "save",
    "tables",
    "verify",
    "who_can",
    "workpaper",
    "write",
]


class _Package(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        # Importing a submodule binds it on its package; run, capture, checks and tables are functions here.
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    # Imported on first use: `auditkit --help` must not wait for pandas.
    if name not in __all__:
        # Where Python's own words would name the nearest of __dict__, which holds none of these yet.
        raise AttributeError(f"module 'auditkit' has no attribute {name!r}; {instead(name, __all__)}")
    from auditkit import api

    globals().update({public: getattr(api, public) for public in __all__})
    return globals()[name]


def __dir__() -> list[str]:
    return __all__
