"""A case of the corpus: a function of an installed package, a point, and what to differentiate.

A table (see `tables/`) is a list of `case(...)` rows. A row names the function by its import path
and its dotted name, and gives the arguments of one call. Nothing of the packages is copied: the
installed function is imported and called.

    case("scipy.optimize", "rosen", [1.2, 0.7, 1.9])

differentiates `scipy.optimize.rosen` with respect to its argument 0, at that point.
"""
import copy
import importlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Distribution names on PyPI where they differ from the import name.
DISTRIBUTIONS = {
    "ahrs": "AHRS", "colour": "colour-science", "empyrical": "empyrical-reloaded",
    "numpy_financial": "numpy-financial", "numpy_groupies": "numpy-groupies",
    "psychrolib": "PsychroLib", "pykrige": "PyKrige", "skfuzzy": "scikit-fuzzy",
    "skimage": "scikit-image", "sklearn": "scikit-learn", "spatialmath": "spatialmath-python",
}


@dataclass(frozen=True)
class Case:
    """One function at one point; `wrt` is the index of the argument to differentiate.

    `name` may be dotted; a part that ends in `()` is a class to make with the arguments `init`,
    as in `Logit().inverse`. `pick` says which part of the result is differentiated: an index or
    key, `.name` for an attribute, or `"argument"` for the argument itself where the function
    works in place. `note` tells cases apart that differ in nothing else the title shows.
    """

    path: str
    name: str
    args: tuple
    wrt: int = 0
    keywords: dict = field(default_factory=dict)
    init: tuple = ()
    pick: Any = None
    note: str = ""

    @property
    def package(self) -> str:
        """The name of the distribution on PyPI."""
        top = self.path.partition(".")[0]
        return DISTRIBUTIONS.get(top, top)

    @property
    def title(self) -> str:
        """What the tables print: the dotted name, the argument's index if not 0, part and note."""
        argument = f" [argument {self.wrt}]" if self.wrt else ""
        part = "" if self.pick is None else f" -> {self.pick}"
        note = f" ({self.note})" if self.note else ""
        return f"{self.path}.{self.name}{argument}{part}{note}"

    def target(self):
        """Returns the callable itself; a class on the way is made anew at each call."""
        found = importlib.import_module(self.path)
        for part in self.name.split("."):
            found = getattr(found, part.removesuffix("()"))
            if part.endswith("()"):
                found = found(*copy.deepcopy(self.init))
        return found

    def point(self):
        """Returns the differentiated argument at its sample point: a copy."""
        return copy.deepcopy(self.args[self.wrt])

    def function(self):
        """Returns the function of the one argument, all others fixed at fresh copies."""
        def call(x):
            args = list(copy.deepcopy(self.args))
            args[self.wrt] = x
            result = self.target()(*args, **copy.deepcopy(self.keywords))
            return x if self.pick == "argument" else _part(result, self.pick)
        return call


def case(path, name, *args, wrt=0, init=(), pick=None, note="", **keywords) -> Case:
    """Returns a row of a table; plain lists given for arrays stay lists."""
    return Case(path, name, args, wrt, keywords, init, pick, note)


def array(*values) -> np.ndarray:
    """Returns a float64 vector, or a matrix when the values are rows."""
    return np.array(values, dtype=float)


def _part(result, pick):
    if pick is None:
        return result
    if isinstance(pick, str) and pick.startswith("."):
        return getattr(result, pick[1:])
    return result[pick]
