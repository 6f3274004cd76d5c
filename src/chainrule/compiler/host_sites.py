"""Equations of a compiled program that run on the evaluator, called from the compiled code."""

from __future__ import annotations

import ctypes

import numpy as np

from chainrule.compiler.steps import Host, Ref


def run_site(step: Host, table: int) -> None:
    """Compute a step's outputs, where the table of pointers says that its arrays lie."""
    equation = step.equation
    assert equation is not None
    refs = [*step.reads(), *step.outputs]
    pointers = (ctypes.c_void_p * len(refs)).from_address(table)
    arrays = iter([_array(r, p) for r, p in zip(refs, pointers, strict=True)])
    inputs = [next(arrays) if isinstance(x, Ref) else x for x in step.inputs]
    with np.errstate(all="ignore"):
        found = equation.op.evaluate(*[_scalar(x) for x in inputs], **equation.params)
    results = found if len(equation.outputs) > 1 else (found,)
    for out, value in zip(arrays, results, strict=True):
        np.copyto(out, value)


def _array(ref: Ref, pointer: int | None) -> np.ndarray:
    type_ = ref.type
    if not type_.size or pointer is None:
        return np.empty(type_.shape, type_.dtype)
    memory = (ctypes.c_uint8 * type_.nbytes).from_address(pointer)
    return np.frombuffer(memoryview(memory), type_.dtype).reshape(type_.shape)


def _scalar(x):
    return x[()] if isinstance(x, np.ndarray) and not x.ndim else x
