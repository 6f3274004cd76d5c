"""Every error that chainrule raises: one class for each cause.

All are `ChainruleError`; each is also the builtin exception that NumPy or Python would raise for
such a mistake, so `except ValueError` around NumPy code keeps working. A message says what went
wrong, where in the user's file, what came and what was needed, and what to write instead.
"""

from __future__ import annotations

import numpy as np
from numpy.linalg import LinAlgError


class ChainruleError(Exception):
    """The base of every error of chainrule."""


class ConcreteValueNeeded(ChainruleError, TypeError):
    """A plain Python or NumPy value was asked of a traced value that cannot give one.

    Raised by `np.float64(x)`, `float(x)` in the code of a library, `buffer[0] = x`: they would
    store a constant, and the derivative would be silently wrong. Also raised by `if x > 0` where
    the trace has no value at hand (`vmap`, bodies of `scan` and `while_loop`).
    """


class LeakedValue(ChainruleError, RuntimeError):
    """A traced value was used after the trace that made it had ended."""


class NotDifferentiable(ChainruleError, TypeError):
    """A derivative was asked with respect to, or of, something that has no derivative.

    Integer, boolean and string arguments have no tangent space; nor has an integer output.
    """


class NonScalarOutput(ChainruleError, TypeError):
    """`grad` was applied to a function whose output is not one real number."""


class StructureMismatch(ChainruleError, TypeError):
    """Two trees (containers of arrays) that must have the same structure differ.

    For example the two branches of `cond`, the carry of `scan`, or tangents and their primals.
    """


class ShapeError(ChainruleError, ValueError):
    """Shapes do not fit together, where NumPy raises a ValueError."""


class MatrixShapeError(ShapeError, LinAlgError):
    """A matrix routine got no matrix, or one that is not square, where NumPy raises LinAlgError."""


class DtypeError(ChainruleError, TypeError):
    """A dtype is not supported, or a cast is not allowed, where NumPy raises a TypeError."""


class IndexOutOfRange(ChainruleError, IndexError):
    """An index lies outside its axis, where NumPy raises an IndexError."""


class AxisError(ChainruleError, np.exceptions.AxisError):
    """An axis does not exist, where NumPy raises an AxisError."""


class DerivativeMissing(ChainruleError, NotImplementedError):
    """The operation is supported but has no derivative (yet); the message says why."""


class NotSupported(ChainruleError, TypeError):
    """A NumPy function, method or option that chainrule does not trace, by name."""


class MutationError(ChainruleError, ValueError):
    """A write that cannot be honoured: it would be lost, or seen in the wrong place."""


class NotConverged(ChainruleError, RuntimeError):
    """A solver (`root`, `fixed_point`, `argmin`) did not reach its tolerance, or pretraining left
    the finite numbers."""


class SingularJacobian(ChainruleError, LinAlgError):
    """A solution has no derivative: the Jacobian of its equations by the unknowns is singular."""


class NotANumber(ChainruleError, FloatingPointError):
    """An operation of a function compiled with check="nan" made a nan or inf of finite numbers."""


class BudgetTooSmall(ChainruleError, MemoryError):
    """No schedule fits into the bytes given as `memory`; the message says the least that would."""


class Undecided(ChainruleError, ArithmeticError):
    """`certified` could not prove a result, or which branch is taken, at its highest precision.

    So it is where two numbers are equal that are not known exactly (`sqrt(2) * sqrt(2) == 2`), or
    where a result lies exactly between two floating-point numbers.
    """


class InvalidProgram(ChainruleError, ValueError):
    """A Program breaks a rule of the language; raised by `Program.validate()`."""


class RewriteLoop(ChainruleError, RuntimeError):
    """Rewrites of `simplify` undo each other without end: a mistake in chainrule, which names them.
    """


class ParseError(ChainruleError, ValueError):
    """Text that is not a printed Program."""


class CustomRuleError(ChainruleError, TypeError):
    """A rule given to `custom_derivative` returned something of the wrong structure or type."""


class MissingExtra(ChainruleError, ImportError):
    """A library that only some of chainrule's functions need is not installed.

    The message names the extra: `pip install 'chainrule[train]'`.
    """


class DataError(ChainruleError, ValueError):
    """A file or a table cannot be read as data: the message names file, line, column and value."""


class FileDamaged(ChainruleError, ValueError):
    """A model, checkpoint or run file is not what was written: cut, changed, or of another kind."""


class FileNotWritten(ChainruleError, OSError):
    """A file or folder could not be written: the disk is full, fails, or may not be written to.

    No file is left half-written. `errno` says which of the system's errors it was.
    """


class RunInUse(ChainruleError, RuntimeError):
    """Another process is training into this run folder: two would destroy each other's files."""
