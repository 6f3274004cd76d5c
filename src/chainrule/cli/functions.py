"""A function of the user's file, and arguments for it: `model.py:loss 'f64[3]' 2.0 rate=0.1`.

An argument is a Python literal (a list of numbers is an array), a type such as `f32[64,10]` as
programs print it (an array of that shape and dtype with values from a fixed seed), `@FILE.npy` (an
array from a file), or one of these with a name before it.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.cli.failures import Failed, Misused

DTYPES = {
    "bool": "bool", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
    "f16": "float16", "f32": "float32", "f64": "float64",
    "c64": "complex64", "c128": "complex128",
}  # fmt: skip

_TYPE = re.compile(r"([a-z]+\d*)\[\s*(\d+(?:\s*,\s*\d+)*)?\s*\]")
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.+)", re.DOTALL)


def function_in(place: str) -> Callable:
    """The function that `FILE:FUNCTION` names. The file is executed, as Python executes it."""
    path, colon, name = place.rpartition(":")
    if not colon or not name:
        raise Misused(f"got {place!r}, expected FILE:FUNCTION, such as model.py:loss.")
    found: Any = _module(Path(path))
    for part in name.split("."):
        if not hasattr(found, part):
            raise Failed(f"{path} has no {name}.\n  It has: {_functions(found)}.")
        found = getattr(found, part)
    if not callable(found):
        raise Failed(f"{name} in {path} is a {type(found).__name__}, not a function.")
    return found


def _module(path: Path):
    """The module that a file makes, with its folder on the path, as `python FILE` has it."""
    if not path.is_file():
        raise Failed(f"{path}: no such file.")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise Failed(f"{path} is not a Python file: its name must end with .py.")
    module = importlib.util.module_from_spec(specification)
    before = sys.modules.get(path.stem)
    sys.modules[path.stem] = module  # classes of the file look for their module there
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        with faults_of_the_file(str(path)):
            specification.loader.exec_module(module)
    finally:
        sys.path.pop(0)
        if before is not None:
            sys.modules[path.stem] = before
    return module


def _functions(module) -> str:
    own = [
        name
        for name, one in vars(module).items()
        if inspect.isroutine(one) and getattr(one, "__module__", "") == module.__name__
    ]
    return ", ".join(own) or "no function of its own"


@contextmanager
def faults_of_the_file(path: str) -> Iterator[None]:
    """What the user's code raises becomes a message with its line."""
    try:
        yield
    except (errors.ChainruleError, Failed, Misused):
        raise
    except SyntaxError as error:
        raise Failed(f"{error.filename}:{error.lineno} is not Python: {error.msg}.") from error
    except (Exception, SystemExit) as error:
        lines = [f for f in traceback.extract_tb(error.__traceback__) if _same(f.filename, path)]
        where = f"{path}:{lines[-1].lineno}" if lines else path
        raise Failed(f"{where} raised {type(error).__name__}: {error}") from error


def _same(one: str, other: str) -> bool:
    return Path(one).absolute() == Path(other).absolute()


def arguments_of(function: Callable, texts: Sequence[str], place: str) -> tuple[list, dict]:
    """The arguments that texts say, positional and named, held against the signature."""
    positional, named = [], {}
    for number, text in enumerate(texts):
        match = _NAMED.fullmatch(text)
        if match:
            named[match[1]] = argument(match[2], number)
        elif named:
            raise Misused(f"{text!r} stands after a named argument; put it before.")
        else:
            positional.append(argument(text, number))
    try:
        bound = inspect.signature(function).bind(*positional, **named)
        return list(bound.args), bound.kwargs  # by place where they can be, as derivatives want it
    except TypeError as error:
        signature = inspect.signature(function)
        raise Misused(
            f"{place}{signature}: {error}.\n"
            "  Write a value for each: a number, '[1.0, 2.0]', 'f64[3,2]', @FILE.npy, name=value."
        ) from error
    except ValueError:
        pass  # builtins have no signature to hold them against
    return positional, named


def argument(text: str, seed: int = 0) -> Any:
    """The value that one argument says; `seed` sets the values of an array given by its type.

    >>> argument("[1.0, 2.0]"), argument("(1, 2)"), argument("f32[2,0]")
    (array([1., 2.]), (1, 2), array([], shape=(2, 0), dtype=float32))
    """
    match = _TYPE.fullmatch(text.strip())
    if match and match[1] in DTYPES:
        shape = tuple(int(n) for n in (match[2] or "").split(",") if n)
        return _drawn(shape, np.dtype(DTYPES[match[1]]), seed)
    if text.startswith("@"):
        return _loaded(Path(text[1:]))
    try:
        return _arrays(ast.literal_eval(text.strip()))
    except (ValueError, SyntaxError) as error:
        raise Misused(
            f"{text!r} is no argument: expected a Python literal such as 2.0 or '[1.0, 2.0]', a "
            f"type such as 'f64[3,2]', or @FILE.npy.\n  The types are: {', '.join(DTYPES)}."
        ) from error


def _drawn(shape: tuple[int, ...], dtype: np.dtype, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype.kind in "iub":
        return rng.integers(0, 2, shape).astype(dtype)
    values = rng.standard_normal(shape)
    if dtype.kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return np.asarray(values, dtype)


def _loaded(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except ValueError as error:
        raise Failed(f"{path} is not an array of NumPy's: {error}") from error


def _arrays(value: Any) -> Any:
    """Lists of numbers as arrays, inside tuples and dicts too."""
    if isinstance(value, tuple):
        return tuple(map(_arrays, value))
    if isinstance(value, dict):
        return {key: _arrays(one) for key, one in value.items()}
    if isinstance(value, list):
        try:
            array = np.array(value)
        except ValueError:  # of unequal lengths
            return [_arrays(one) for one in value]
        return array if array.dtype.kind in "biufc" else [_arrays(one) for one in value]
    return value
