"""Running one kernel by itself, outside of any compiled program."""

import ctypes

import numpy as np

from chainrule.compiler.kernel import Kernel, Place, Site, contiguous_place
from chainrule.compiler.machine_code import Loaded, object_code
from chainrule.program.op import REGISTRY
from chainrule.program.types import array_type, type_of


def place_of(value) -> Place:
    """The place of an array as it lies in memory; a NumPy scalar is a literal."""
    if isinstance(value, np.generic):
        return Place(type_of(value), (), value)
    strides = tuple(s // value.itemsize for s in value.strides)
    return Place(array_type(value.shape, value.dtype), strides)


def site_of(op: str, *inputs, **params) -> Site:
    """The site of one operation on these arrays and literals."""
    places = tuple(place_of(x) for x in inputs)
    types = REGISTRY[op].type_rule(*[p.type for p in places], **params)
    return Site(op, params, places, tuple(contiguous_place(t) for t in types))


class Runner:
    """A kernel loaded: `run(*inputs)` gives the outputs; `status` is 1 after a failure."""

    def __init__(self, kernel: Kernel, site: Site, externals: tuple[int, ...] = ()):
        self.kernel, self.site, self.externals = kernel, site, externals
        texts = [
            p.text.replace("define internal", "define").replace("@@", f"@phase{i}")
            for i, p in enumerate(kernel.phases)
        ]
        self.loaded = Loaded(object_code("\n".join(texts)))
        form = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self.functions = [
            form(self.loaded.address(f"phase{i}")) for i in range(len(kernel.phases))
        ]
        self.status = 0

    def run(self, *inputs, one_by_one: bool = False, outputs=None) -> list[np.ndarray]:
        """The outputs; with `one_by_one` every task is a call of its own, the last one first.

        Kernels that go on with what is in their outputs are given these.
        """
        if outputs is None:
            outputs = [np.zeros(p.type.shape, p.type.dtype) for p in self.site.outputs]
        scratch = np.zeros(self.kernel.scratch + 64, np.uint8)
        status = np.zeros(1, np.int32)
        arrays = [x for x, p in zip(inputs, self.site.inputs, strict=True) if p.literal is None]
        pointers = [x.ctypes.data for x in [*arrays, *outputs]]
        if self.kernel.scratch:
            pointers.append(-(-scratch.ctypes.data // 64) * 64)
        if self.kernel.can_fail:
            pointers.append(status.ctypes.data)
        table = (ctypes.c_void_p * (len(pointers) + len(self.externals) + 1))(
            *pointers, *self.externals
        )
        for function, phase in zip(self.functions, self.kernel.phases, strict=True):
            if one_by_one:
                for task in reversed(range(phase.tasks)):
                    function(ctypes.addressof(table), task, task + 1)
            else:
                function(ctypes.addressof(table), 0, phase.tasks)
            if status[0]:
                break  # as compiled programs do: a failure ends them before the next phase
        self.status = int(status[0])
        return outputs


def run_kernel(emitter, op: str, *inputs, one_by_one: bool = False, **params):
    """The outputs of one operation by its native kernel; None where it has none."""
    site = site_of(op, *inputs, **params)
    kernel = emitter(site)
    if kernel is None:
        return None
    return Runner(kernel, site).run(*inputs, one_by_one=one_by_one)
