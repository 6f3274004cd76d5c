"""PyTensor: a function becomes a graph of symbols, all of its rewrites applied."""

from __future__ import annotations

import numpy as np

from chainrule.lab.right_derivatives.case import Case
from chainrule.lab.right_derivatives.libraries import Absent, Library, Nothing
from chainrule.lab.right_derivatives.truth import call, differentiable


def library() -> Library:
    """`pytensor.tensor` under NumPy's names, evaluated by PyTensor's own operations."""
    import pytensor

    def none(*_):
        raise Absent

    return Library(
        name="pytensor",
        version=pytensor.__version__,
        namespaces={},
        array=np.asarray,
        plain=np.asarray,
        grad=none,
        value_and_grad=none,
        hessian=none,
        jacobian=none,
        jvp=none,
        vjp=none,
        hvp=none,
        vmap=none,
        compile=none,
        answer=answer,
    )


class _Names:
    """`pytensor.tensor`, an unknown name being absent."""

    inf, nan, pi, e, newaxis, float64 = np.inf, np.nan, np.pi, np.e, None, "float64"

    def __getattr__(self, name):
        import pytensor.tensor as pt

        names = {"array": "as_tensor_variable", "asarray": "as_tensor_variable"}
        names |= {"power": "pow", "absolute": "abs", "amax": "max", "amin": "min"}
        found = getattr(pt, names.get(name, name), None)
        if found is None:
            raise Absent(f"pytensor.tensor.{name}")
        return found


def answer(case: Case, point: tuple) -> list[np.ndarray]:
    """What the case asks at `point` (a stack of points where it is asked lane by lane)."""
    import pytensor
    import pytensor.tensor as pt
    from pytensor.compile.mode import Mode
    from pytensor.graph.replace import vectorize_graph

    if case.ask not in _ANSWERS:
        raise Absent(case.ask)
    chosen = differentiable(point)
    lanes = case.by == "vmap"
    symbols = list(point)
    for i in chosen:
        shape = np.shape(point[i])[1:] if lanes else np.shape(point[i])
        symbols[i] = pt.tensor(f"x{i}", dtype="float64", shape=shape)
    namespaces = {"np": _Names(), "special": _special(), "control": Nothing()}
    out = pt.as_tensor_variable(call(case, namespaces, symbols))
    found = _ANSWERS[case.ask](case, out, [symbols[i] for i in chosen])
    wide = [symbols[i] for i in chosen]
    if lanes:
        wide = [pt.tensor(f"w{i}", dtype="float64", shape=np.shape(point[i])) for i in chosen]
        replace = dict(zip([symbols[i] for i in chosen], wide, strict=True))
        found = [vectorize_graph(f, replace) for f in found]
    compiled = pytensor.function(
        wide, found, mode=Mode(linker="py", optimizer="fast_run"), on_unused_input="ignore"
    )
    return [np.asarray(a, dtype=float) for a in compiled(*[point[i] for i in chosen])]


def _special():
    class Names:
        def __getattr__(self, name):
            import pytensor.tensor as pt

            found = getattr(pt, name, None) or getattr(pt.special, name, None)
            if found is None:
                raise Absent(f"pytensor.tensor.special.{name}")
            return found

    return Names()


def _grad(out, symbols):
    import pytensor

    return pytensor.grad(out, symbols, disconnected_inputs="ignore")


def _repeated(order):
    def ask(case, out, symbols):
        for _ in range(order):
            out = _grad(out, symbols[0])
        return [out]

    return ask


def _hessian(case, out, symbols):
    import pytensor.tensor as pt

    x = symbols[0]
    gradient = _grad(out, x).reshape((-1,))
    size = int(np.prod(x.type.shape))
    rows = [_grad(gradient[i], x) for i in range(size)]
    return [pt.stack(rows).reshape(x.type.shape + x.type.shape)]


def _jacobian(case, out, symbols):
    import pytensor.tensor as pt

    x, flat = symbols[0], out.reshape((-1,))
    if out.ndim == 0:
        return [_grad(out, x)]
    size = out.type.shape[0] if out.ndim == 1 else int(np.prod(out.type.shape))
    if size is None:
        raise Absent("a jacobian of unknown shape")
    return [
        pt.stack([_grad(flat[i], x) for i in range(size)]).reshape(out.type.shape + x.type.shape)
    ]


def _jvp(case, out, symbols):
    from pytensor.gradient import Rop

    return [Rop(out, symbols[0], np.asarray(case.along, dtype=float))]


def _vjp(case, out, symbols):
    return [_grad((out * np.asarray(case.along, dtype=float)).sum(), symbols[0])]


def _hvp(case, out, symbols):
    inner = (_grad(out, symbols[0]) * np.asarray(case.along, dtype=float)).sum()
    return [_grad(inner, symbols[0])]


_ANSWERS = {
    "grad": lambda case, out, symbols: _grad(out, symbols),
    "value_and_grad": lambda case, out, symbols: [out, *_grad(out, symbols)],
    "second": _repeated(2),
    "third": _repeated(3),
    "hessian": _hessian,
    "jacobian": _jacobian,
    "jvp": _jvp,
    "vjp": _vjp,
    "hvp": _hvp,
}
