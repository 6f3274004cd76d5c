"""Says in chainrule's words what compiled code says of a traced value.

A function of Cython, pybind11, Numba or C that meets a traced value raises an error of its own
(`No matching signature found`, `a bytes-like object is required`), which does not name the cause.
`refusal` recognises one: the error was raised by a call into compiled code, one argument of which
is a traced value. It is found by reading the call in the source of the innermost Python frame, so
nothing is guessed where there is no source.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import types
from collections.abc import Iterator
from functools import lru_cache

from chainrule import errors
from chainrule.program.trace import Traced, is_internal

_KINDS = (TypeError, ValueError, AttributeError, SystemError, BufferError)
_OF_PYTHON = ("builtins", "math", "cmath", "operator", "copy", "functools", "itertools")


def refusal(error: Exception) -> errors.NotSupported | None:
    """The error to raise instead, where compiled code was given a traced value; else None."""
    if isinstance(error, errors.ChainruleError) or not isinstance(error, _KINDS):
        return None
    frame, line, instruction = _innermost(error.__traceback__)
    if frame is None or is_internal(frame.f_code.co_filename):
        return None
    place = f"{os.path.basename(frame.f_code.co_filename)}:{line}"
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    if "Multiple namespaces for array inputs" in said:
        return errors.NotSupported(
            f"traced values and plain arrays meet at {place} in code that asks for the namespace "
            f"of its arrays: {said}\n  Make the plain arrays traced: cr.numpy.asarray(y)."
        )
    call = _call_at(frame.f_code, instruction)
    if call is None:
        return None
    compiled = _is_compiled(_value_of(call.func, frame)) or "Traced" in said
    if not compiled or not any(_is_traced(a, frame) for a in _arguments(call)):
        return None
    return errors.NotSupported(
        f"{ast.unparse(call.func)} is compiled code, which cannot follow a traced value, at "
        f"{place}; it says {said}\n"
        "  Write that step with NumPy's functions. To use the value as a constant: "
        "np.array(cr.stop_gradient(x).tolist())."
    )


def _innermost(traceback):
    """The last frame of Python code, its line, and the instruction where it was left."""
    found = None, 0, 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename.endswith(".py"):
            found = traceback.tb_frame, traceback.tb_lineno, traceback.tb_lasti
        traceback = traceback.tb_next
    return found


def _call_at(code: types.CodeType, instruction: int) -> ast.Call | None:
    """The call that an instruction makes; None where it is another operation."""
    where = list(code.co_positions())[instruction // 2]
    for node in ast.walk(_tree(code.co_filename)):
        if isinstance(node, ast.Call):
            place = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
            if place == where:
                return node
    return None


@lru_cache(maxsize=4)
def _tree(filename: str) -> ast.Module:
    try:
        return ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:
        return ast.Module([], [])


def _value_of(node: ast.expr, frame):
    """The value of a name, or of an attribute of one; None of anything else."""
    if isinstance(node, ast.Name):
        for names in (frame.f_locals, frame.f_globals):
            if node.id in names:
                return names[node.id]
        return None
    if isinstance(node, ast.Attribute):
        owner = _value_of(node.value, frame)
        if isinstance(owner, types.ModuleType):
            return vars(owner).get(node.attr)
        return None if type(owner) is Traced else _stored(owner, node.attr)
    return None


def _stored(owner, name: str):
    """What an object holds under a name, in its dict or a slot; properties are not run."""
    static = inspect.getattr_static(owner, name, None)
    return getattr(owner, name) if isinstance(static, types.MemberDescriptorType) else static


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        inner = argument.value if isinstance(argument, ast.Starred) else argument
        yield from inner.elts if isinstance(inner, ast.Tuple | ast.List) else (inner,)


def _is_traced(node: ast.expr, frame) -> bool:
    """Whether an argument is traced, as far as it is a name, or made from one by a method."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value  # x.reshape(...)
    while isinstance(node, ast.Subscript):
        node = node.value
    value = _value_of(node, frame)
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list | tuple):
        return any(type(part) is Traced for part in parts)
    return type(value) is Traced


def _is_compiled(function) -> bool:
    """Whether a callable is not written in Python, nor one of Python's or NumPy's own."""
    if function is None or isinstance(function, types.FunctionType | types.MethodType | type):
        return False
    module = getattr(function, "__module__", None) or ""
    return bool(module) and module not in _OF_PYTHON and module.partition(".")[0] != "numpy"
