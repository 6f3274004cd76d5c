"""`chainrule info`: what a model or a run is, or what this installation has."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

import chainrule as cr
from chainrule.cli.output import Json, print_facts, print_json
from chainrule.compiler.cache import folder
from chainrule.compiler.machine_code import host


def info(*, json: Json = False) -> None:
    """Tell about a model, a run, or (without a path) this installation."""
    facts = installation()
    if json:
        print_json(facts)
        return
    print_facts({name: value for name, value in facts.items() if name != "libraries"})
    print()
    print_facts({name: found or "not installed" for name, found in facts["libraries"].items()})


def installation() -> dict:
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
