"""What is installed, and on what machine."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import chainrule as cr
from chainrule.compiler.cache import folder
from chainrule.compiler.machine_code import host


def installation() -> dict[str, Any]:
    """Versions, processor, threads, cache, and the libraries of every extra."""
    return {
        "chainrule": version("chainrule"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": host()[1],
        "cores": os.cpu_count(),
        "threads": cr.get_threads(),
        "cache": str(folder() or "none"),
        "libraries": {name: _version(name) for name in _libraries()},
    }


def _libraries() -> list[str]:
    """The names of what chainrule and its extras for users stand on."""
    found: list[str] = []
    for line in requires("chainrule") or []:
        name = line.split(";")[0].split("[")[0].strip(" <>=!~.,0123456789")
        developing = re.search(r"extra == .(test|bench)\b", line)
        if name != "chainrule" and not developing and name not in found:
            found.append(name)
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
