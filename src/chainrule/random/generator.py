"""The generator: one stream with every distribution's method."""

from __future__ import annotations

from chainrule.program.tree import register
from chainrule.random.mixed import Mixed
from chainrule.random.parameters import of_arrays
from chainrule.random.scores import LAWS, noted


class Generator(Mixed):
    """Random numbers, with the method names of numpy.random.Generator.

    `seed` is a whole number from 0, a sequence of them, or None for a fresh one from the system.
    All of the state is one array, `state`: the key and the number of the next draw.

    >>> rng = Generator(7)
    >>> rng.integers(100, size=5)
    array([14, 13, 28, 68, 19])
    """


register(Generator, ("state",))
for _name in LAWS:
    setattr(Generator, _name, of_arrays(noted(_name, getattr(Generator, _name))))
for _name in ("choice", "hypergeometric", "multivariate_hypergeometric", "noncentral_chisquare",
              "noncentral_f", "permutation", "permuted", "triangular", "uniform"):  # fmt: skip
    setattr(Generator, _name, of_arrays(getattr(Generator, _name)))


def default_rng(seed=None) -> Generator:
    """A new generator, as `numpy.random.default_rng`; a generator is passed on as it is."""
    return seed if isinstance(seed, Generator) else Generator(seed)
