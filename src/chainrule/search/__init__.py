"""Searches for networks by their validation error: architecture, penalties, training.

>>> from chainrule import search
>>> ", ".join(search.ARCHITECTURE)
'depth, width, skips'
"""

from chainrule.search.result import Result
from chainrule.search.searching import search
from chainrule.search.space import (
    ARCHITECTURE,
    SPACE,
    Choice,
    Range,
    Space,
    by_recipe,
    restricted,
    without_architecture,
)

__all__ = [
    "ARCHITECTURE", "Choice", "Range", "Result", "SPACE", "Space", "by_recipe",
    "restricted", "search", "without_architecture",
]  # fmt: skip
