"""From LLVM IR to machine code for this processor, and into memory.

Each thread compiles with one TargetMachine; making another takes as long as a small kernel. Each
program in memory has one MCJIT engine with a TargetMachine of its own: re-using that after its
engine is freed crashes, and ORC leaks (llvmlite 0.50). Object code is position independent and
holds no address of this process, so it can be kept on disk. It is of the small code model:
constants are read relative to the instruction, and an engine's memory lies together. (The large
model, which is the default for code in memory, gives wrong addresses: R_X86_64_GOTOFF64, LLVM 22.)
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable
from functools import lru_cache

import llvmlite.binding as llvm
from llvmlite.binding import ffi

MODEL = {"reloc": "pic", "codemodel": "small"}
_lock = threading.Lock()
_of_thread = threading.local()


@lru_cache(maxsize=1)
def _initialised() -> bool:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return True


@lru_cache(maxsize=1)
def host() -> tuple[str, str, str]:
    """(triple, processor, features) of this machine, as LLVM names them."""
    _initialised()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.get_process_triple(), llvm.get_host_cpu_name(), features + ",-prefer-256-bit"


@lru_cache(maxsize=1)
def vector_bytes() -> int:
    """The bytes of this processor's widest vector register."""
    features = set(host()[2].split(","))
    if "+avx512f" in features and "+avx512vl" in features:
        return 64
    return 32 if "+avx2" in features else 16


@lru_cache(maxsize=1)
def vector_registers() -> int:
    """How many vector registers there are."""
    triple, _, features = host()
    wide = "+avx512vl" in features.split(",") or triple.startswith(("aarch64", "arm64"))
    return 32 if wide else 16


def _target_machine(level: int):
    triple, cpu, features = host()
    target = llvm.Target.from_triple(triple)
    return target.create_target_machine(
        cpu=cpu, features=features, opt=level, jit=True, **MODEL
    )


def _own_machine(level: int):
    """The machine with which this thread compiles."""
    machines = _of_thread.__dict__.setdefault("machines", {})
    if level not in machines:
        machines[level] = _target_machine(level)
    return machines[level]


@lru_cache(maxsize=1)
def _emit() -> Callable:
    """llvmlite's function that compiles a module, past the lock that llvmlite puts around all of
    its functions: LLVM itself works side by side, in contexts of their own."""
    wrapped = ffi.lib.LLVMPY_TargetMachineEmitToMemory
    library = ctypes.CDLL(ffi.lib._name, handle=ffi.lib._handle)
    free = library.LLVMPY_TargetMachineEmitToMemory
    free.argtypes, free.restype = wrapped.argtypes, wrapped.restype
    return free


def object_code(ir: str, level: int = 2) -> bytes:
    """The object code of a module's text, for this processor. Other threads run meanwhile, those
    that compile as well."""
    _initialised()
    module = llvm.parse_assembly(ir, llvm.create_context())
    module.triple = host()[0]
    machine = _own_machine(level)
    with ffi.OutputString() as error:
        buffer = _emit()(machine, module, 1, error)
        if not buffer:
            raise RuntimeError(str(error))
    try:
        start, size = ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(start, size)
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


class Loaded:
    """Object code in memory, ready to be called; freed with this object."""

    def __init__(self, *codes: bytes):
        _initialised()
        with _lock:
            empty = llvm.parse_assembly("", llvm.create_context())
            self._engine = llvm.create_mcjit_compiler(empty, _target_machine(2))
            for code in codes:
                self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            self._engine.remove_module(empty)  # or it would be compiled, empty as it is
            self._engine.finalize_object()
        # Held from outside: among cyclic garbage, the collector may end LLVM's context before the
        # engine that needs it.
        weakref.finalize(self, self._engine.close).atexit = False

    def address(self, name: str) -> int:
        """Where a function is."""
        found = self._engine.get_function_address(name)
        if not found:
            raise KeyError(name)
        return found
