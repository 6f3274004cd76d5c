"""What a derivative is taken by: the chosen arguments, and the errors where there is none."""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.program.trace import Traced
from chainrule.program.tree import LEAF, Static, flatten, is_leaf, learned_leaves, paths, unflatten
from chainrule.tracing import Call


class Chosen:
    """The arguments a derivative is taken by: their leaf numbers, and their structures."""

    def __init__(self, f, argnums, args: tuple):
        self.single = isinstance(argnums, int | np.integer)
        numbers = (int(argnums),) if self.single else tuple(int(n) for n in argnums)
        self.numbers = tuple(_argument_number(f, n, len(args)) for n in numbers)
        starts, total = [], 0
        for value in args:
            starts.append(total)
            total += 1 if is_leaf(value) else len(flatten(value)[0])
        self.structures: list = []
        self.order: list[int] = []
        self.learned: list[list[bool]] = []
        for n in self.numbers:
            leaves, structure = flatten(args[n])
            learned = learned_leaves(args[n])
            _check_differentiable(f, n, leaves, structure, learned)
            self.structures.append(structure)
            self.learned.append(learned)
            self.order += [starts[n] + i for i, is_learned in enumerate(learned) if is_learned]
        self.leaves = frozenset(self.order)

    def rebuild(self, found: list):
        """Trees like the chosen arguments, from one value per chosen leaf, in input order; None
        for the state of modules."""
        by_leaf = dict(zip(sorted(self.leaves), found, strict=True))
        source = iter([by_leaf[i] for i in self.order])
        trees = [
            unflatten(s, [next(source) if is_learned else None for is_learned in learned])
            for s, learned in zip(self.structures, self.learned, strict=True)
        ]
        return trees[0] if self.single else tuple(trees)


def _argument_number(f, n: int, count: int) -> int:
    if not -count <= n < count:
        raise errors.StructureMismatch(
            f"argnums={n}, but {_name(f)} was called with {count} positional arguments. "
            "Pass the arguments to differentiate by position."
        )
    return n % count


def _name(f) -> str:
    return getattr(f, "__name__", type(f).__name__)


def _check_differentiable(f, n: int, leaves: list, structure, learned: list[bool]) -> None:
    if not any(learned):
        raise errors.NotDifferentiable(
            f"argument {n} of {_name(f)} holds no arrays or numbers to differentiate by "
            f"(it is {_what(structure)})."
        )
    for leaf, path, is_learned in zip(leaves, paths(structure), learned, strict=True):
        if not is_learned:
            continue
        is_traced = type(leaf) is Traced
        dtype = leaf.type.dtype if is_traced else np.asarray(leaf).dtype
        if dtype.kind not in "fc":
            raise errors.NotDifferentiable(
                f"argument {n}{path} of {_name(f)} is {'' if is_traced else f'{leaf!r} '}"
                f"of dtype {dtype}, which has no "
                "derivative.\n  Pass a float (3.0 instead of 3, x.astype(float)), or choose "
                "other arguments with argnums."
            )


def _what(structure) -> str:
    return repr(structure.value) if isinstance(structure, Static) else repr(structure)


def check_scalar(call: Call, has_aux: bool) -> None:
    """Raise where the function did not return one real number, or (value, aux) with `has_aux`."""
    structure = call.structure
    if has_aux:
        children: tuple = getattr(structure, "children", ())
        if len(children) != 2:
            raise errors.StructureMismatch(
                f"with has_aux, {call.name} must return (value, aux); it returned {structure!r}."
            )
        structure = children[0]
    if structure is not LEAF:
        raise errors.NonScalarOutput(
            f"grad needs one real number from {call.name}; it returned {structure!r}.\n"
            "  Return the loss alone, use has_aux=True for (loss, aux), or use jacobian."
        )
    out = call.program.outputs[0]
    if out.type.shape or out.type.dtype.kind not in "f":
        raise bad_output(call, out)


def bad_output(call: Call, out) -> Exception:
    """The error for an output that has no gradient, or no derivative."""
    made = next((e for e in call.program.equations if out in e.outputs), None)
    where = f" (made at {made.where})" if made is not None and made.where else ""
    if out.type.dtype.kind in "biu":
        return errors.NotDifferentiable(
            f"{call.name} returned a {out.type}{where}: an integer or boolean output has no "
            "derivative."
        )
    return errors.NonScalarOutput(
        f"grad needs one real number from {call.name}; it returned a {out.type}{where}.\n"
        "  Reduce it with .sum() or .mean(), take .real or abs() of a complex value, or use "
        "jacobian."
    )
