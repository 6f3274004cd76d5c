"""Addresses of functions that compiled code calls: LAPACK, BLAS, loops of NumPy's and SciPy's.

SciPy exports C functions in the `__pyx_capi__` of its Cython modules: capsules, each named by its
signature. Names stand for them here:

    lapack.dpotrf, blas.dtrsm            real ones with 32-bit integers, everything by pointer
    special.gammaln, special.beta        double (double, ..., int): every argument a double
    special.bdtr(dlds)                   the variant of these parameters, by letter:
                                         d double, f float, l 64-bit integer, D pointer to double,
                                         s the int (any value) that Cython appends to a function
                                         that Python can call, o its optional arguments (null)
    ufunc._zeta(dd->d)           two pointers in memory: the loop of a ufunc of SciPy for these
                                 types, void (char **arrays, intp *sizes, intp *steps, void *data),
                                 and its data: for functions that are exported in no other way
    numpy.exp(D->D)              likewise of a ufunc of NumPy
    fft.rfft_n_even(dd->D)       likewise of the ufuncs behind numpy.fft: (n),()->(m)
    linalg.eigh_lo(D->dD)        likewise of those behind numpy.linalg
    threads.get, threads.set             int (), void (int): the threads of the BLAS that SciPy
                                         calls; missing where that is not OpenBLAS
    threads.state                        three int32 in memory: a lock, the users and the number
                                         from before (chainrule.compiler.llvm.lapack_frame)

A name that this SciPy does not have, or has with another signature, has no address. SciPy is
imported at the first question, and of scipy.linalg the two modules that are asked only.
"""

from __future__ import annotations

import ctypes
import glob
import os
import re
import sys
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from types import ModuleType

_MODULES = {
    "lapack": "scipy.linalg.cython_lapack",
    "blas": "scipy.linalg.cython_blas",
    "special": "scipy.special.cython_special",
}

_UFUNCS = {
    "ufunc": "scipy.special._ufuncs",
    "numpy": "numpy",
    "fft": "numpy.fft._pocketfft_umath",
    "linalg": "numpy.linalg._umath_linalg",
}

_state = (ctypes.c_int32 * 16)()


@cache
def address(name: str) -> int | None:
    """The address of an external by its name; None where there is none."""
    family, _, rest = name.partition(".")
    if family == "threads":
        return _of_threads(rest)
    if family in _UFUNCS:
        return _loop_of_ufunc(_UFUNCS[family], *_split(rest))
    if family == "special":
        bare, letters = _split(rest)
        return _special_functions().get((bare, letters))
    return _fortran_functions(family).get(rest)


def letters_of(name: str) -> tuple[str, ...]:
    """The parameters, as letters, of every variant of a special function: ('dds', 'ffs')."""
    return tuple(letters for bare, letters in _special_functions() if bare == name and letters)


def _split(text: str) -> tuple[str, str]:
    """('bdtr', 'dlds') for 'bdtr(dlds)'; ('beta', '') for 'beta', where every one is a double."""
    bare, _, letters = text.partition("(")
    return bare, letters.rstrip(")")


def _capsules(module: str) -> dict[str, tuple[str, int]]:
    """Signature and address of each C function that a Cython module exports."""
    python = ctypes.pythonapi
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", python))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", python)
    )
    found = {}
    for name, capsule in _module(module).__pyx_capi__.items():
        signature = name_of(capsule)
        found[name] = (signature.decode(), pointer_of(capsule, signature))
    return found


@cache
def _module(family: str) -> ModuleType:
    """The Cython module of a family of functions.

    Those of LAPACK and BLAS need nothing of scipy.linalg, whose own import takes ten times as long
    as a whole program from the cache: they are loaded alone.
    """
    name = _MODULES[family]
    loaded = name.rpartition(".")[0] in sys.modules
    alone = None if family == "special" or loaded else _alone(name)
    return alone or import_module(name)


def _alone(name: str) -> ModuleType | None:
    """A module of one of SciPy's packages, without the package; None where it does not load so.

    It leaves no name behind: who imports it later, and its package, gets the same module, which
    Cython keeps one of in a process.
    """
    package = name.rpartition(".")[0]
    folder = package.partition(".")[2]
    places = [os.path.join(p, folder) for p in import_module("scipy").__path__]
    spec = PathFinder.find_spec(name, places)
    if spec is None or spec.loader is None:
        return None
    try:
        made = module_from_spec(spec)
        spec.loader.exec_module(made)
    except ImportError:
        return None
    if package not in sys.modules and sys.modules.get(name) is made:
        del sys.modules[name]  # or the package would never hold it under its name
    return made if hasattr(made, "__pyx_capi__") else None


# --- LAPACK and BLAS ------------------------------------------------------------------------------


@cache
def _fortran_functions(module: str) -> dict[str, int]:
    """LAPACK's or BLAS's functions whose integers are C ints."""
    return {
        name: pointer
        for name, (signature, pointer) in _capsules(module).items()
        if all(_is_plain(p) for p in _parameters(signature))
    }


def _is_plain(parameter: str) -> bool:
    """Whether a parameter is a pointer to a char, a C int, or a real or complex number."""
    return parameter in ("char *", "int *") or bool(re.fullmatch(r"\w+_[sdcz] \*", parameter))


def _parameters(signature: str) -> list[str]:
    inside = signature.partition("(")[2].rpartition(")")[0]
    return [p.strip() for p in inside.split(",")] if inside.strip() else []


# --- special functions ----------------------------------------------------------------------------


@cache
def _special_functions() -> dict[tuple[str, str], int]:
    """Addresses by name and letters; with no letters, of the variant of doubles alone."""
    found: dict[tuple[str, str], int] = {}
    for exported, (signature, pointer) in _capsules("special").items():
        letters = _letters(signature)
        if letters is None:
            continue
        name = _without_prefix(exported)
        found.setdefault((name, letters), pointer)
        if re.fullmatch("d+s", letters):
            found[name, ""] = pointer
    return found


def _without_prefix(name: str) -> str:
    """The name of a variant without Cython's numbers of its types: `__pyx_fuse_0_1eval_jacobi`."""
    return re.sub(r"^__pyx_fuse_\d+(_\d+)*", "", name)


def _letters(signature: str) -> str | None:
    """The parameters as letters; None where one is of another type, or the result does not fit."""
    wide = ctypes.sizeof(ctypes.c_long) == 8
    kinds = {
        "double": "d", "float": "f", "Py_ssize_t": "l", "double *": "D",
        "int __pyx_skip_dispatch": "s", **({"long": "l"} if wide else {}),
    }  # fmt: skip
    letters = ""
    for parameter in _parameters(signature):
        if parameter.startswith("struct") and parameter.endswith("*__pyx_optional_args"):
            letters += "o"
        elif parameter in kinds:
            letters += kinds[parameter]
        else:
            return None
    wanted = "void" if "D" in letters else "float" if "f" in letters else "double"
    return letters if signature.partition("(")[0].strip() == wanted else None


# --- loops of ufuncs ------------------------------------------------------------------------------

_loops: list[ctypes.Array] = []  # the pairs that were given away: they stay


class _Ufunc(ctypes.Structure):
    """The beginning of NumPy's PyUFuncObject, behind the head that every object has."""

    _fields_ = (
        ("nin", ctypes.c_int), ("nout", ctypes.c_int), ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int), ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)), ("ntypes", ctypes.c_int),
    )  # fmt: skip


def _loop_of_ufunc(module: str, name: str, types: str) -> int | None:
    try:
        ufunc = getattr(import_module(module), name, None)
    except ImportError:  # NumPy's own, which another version may keep elsewhere
        return None
    if ufunc is None or types not in ufunc.types:
        return None
    head = _Ufunc.from_address(id(ufunc) + object.__basicsize__)
    if (head.nin, head.nout, head.ntypes) != (ufunc.nin, ufunc.nout, ufunc.ntypes):
        return None  # another layout than the one that is known
    number = ufunc.types.index(types)
    data = head.data[number] if head.data else None
    pair = (ctypes.c_void_p * 2)(head.functions[number], data)
    _loops.append(pair)
    return ctypes.addressof(pair)


# --- the threads of SciPy's BLAS ------------------------------------------------------------------


def _of_threads(name: str) -> int | None:
    functions = _thread_functions()
    if functions is None:
        return None
    return ctypes.addressof(_state) if name == "state" else functions.get(name)


@cache
def _thread_functions() -> dict[str, int] | None:
    """Addresses of OpenBLAS's functions that get and set the number of its threads."""
    for library in _libraries():
        for form in ("scipy_openblas_{}_num_threads", "openblas_{}_num_threads"):
            try:
                found = {verb: getattr(library, form.format(verb)) for verb in ("get", "set")}
            except AttributeError:
                continue
            return {
                verb: ctypes.cast(function, ctypes.c_void_p).value or 0
                for verb, function in found.items()
            }
    return None


def _libraries():
    """The library that SciPy's LAPACK module is linked to: through the module itself, whose handle
    finds the names of what it depends on; on Windows, which has no such search, by its file."""
    module = str(_module("lapack").__file__)
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(module))))
    bundled = glob.glob(os.path.join(folder, "scipy.libs", "*openblas*"))
    for path in (module, *bundled):
        try:
            yield ctypes.CDLL(path)
        except OSError:
            continue
