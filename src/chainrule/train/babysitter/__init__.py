"""The babysitter: watches a run's losses, gradients and units, and acts by stated rules.

The rules stand in `rules`, in words, as a table; every decision carries its reason.
"""

from chainrule.train.babysitter.chance import chance_loss
from chainrule.train.babysitter.health import LayerHealth, health
from chainrule.train.babysitter.initial import initialise
from chainrule.train.babysitter.reports import ACTIONS, Decision, Stretch
from chainrule.train.babysitter.rows import faulty_rows, without
from chainrule.train.babysitter.sitter import Babysitter

__all__ = [
    "ACTIONS", "Babysitter", "Decision", "LayerHealth", "Stretch", "chance_loss", "faulty_rows",
    "health", "initialise", "without",
]  # fmt: skip
