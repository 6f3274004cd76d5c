"""The cases, one file a family; `cases()` lists them all."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from chainrule.lab.right_derivatives.case import CLASSES, GROUPS, Case

_FILES = (
    "kinks_scalars",
    "kinks_written_out",
    "kinks_arrays",
    "kinks_numpy",
    "lipschitz",
    "singular_branches",
    "singular_points",
    "naive_exponentials",
    "naive_differences",
    "naive_reductions",
    "naive_compounds",
    "expectations_smooth",
    "expectations_jumps",
    "expectations_discrete",
    "composed",  # of the files before it
)


def cases(groups: Sequence[str] = ()) -> list[Case]:
    """All cases of the classes `groups`, or of every class, class by class.

    >>> len(cases(["kinks"])) > 60
    True
    """
    for name in _FILES:
        import_module(f"{__name__}.{name}")
    unknown = sorted(set(groups) - set(CLASSES))
    if unknown:
        raise ValueError(f"the classes are {', '.join(CLASSES)}; got {', '.join(unknown)}.")
    return [case for name in (groups or CLASSES) for case in GROUPS[name].cases]
