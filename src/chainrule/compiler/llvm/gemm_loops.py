"""Index arithmetic and loops of the kernels of products: known numbers are worked out at once."""

from __future__ import annotations

from chainrule.compiler.llvm.code import I64, Code, Index, as_index


def entry_offset(code: Code, batch, strides, entry: Index) -> Index:
    """The offset, in elements, of one entry of the batch."""
    if all(s == 0 for s in strides):
        return 0
    total: Index = 0
    rest = entry
    for n, stride in zip(reversed(batch), reversed(strides), strict=True):
        place, rest = remainder(code, rest, n), quotient(code, rest, n)
        total = code.index_add(total, code.index_mul(place, stride))
    return total


def quotient(code: Code, x: Index, n: int) -> Index:
    """x // n of numbers that are not negative."""
    if isinstance(x, int):
        return x // n
    return x if n == 1 else code.emit(I64, f"udiv i64 {x.text}, {n}")


def remainder(code: Code, x: Index, n: int) -> Index:
    """x % n of numbers that are not negative."""
    if isinstance(x, int):
        return x % n
    return 0 if n == 1 else code.emit(I64, f"urem i64 {x.text}, {n}")


def minimum(code: Code, x: Index, y: Index) -> Index:
    """The smaller of two."""
    if isinstance(x, int) and isinstance(y, int):
        return min(x, y)
    return code.intrinsic("smin", as_index(x), as_index(y))


def difference(code: Code, x: Index, y: Index) -> Index:
    """x - y."""
    if y == 0:
        return x
    if isinstance(x, int) and isinstance(y, int):
        return x - y
    return code.emit(I64, f"sub nsw i64 {as_index(x).text}, {as_index(y).text}")


class Span:
    """A balanced cut of `count` things into `groups`: group i begins at i * count // groups."""

    def __init__(self, code: Code, count: int, groups: int, group: Index):
        self.start = self.at(code, count, groups, group)
        self.stop: Index = count
        if groups > 1:
            self.stop = self.at(code, count, groups, code.index_add(group, 1))

    @staticmethod
    def at(code: Code, count: int, groups: int, group: Index) -> Index:
        return quotient(code, code.index_mul(group, count), groups)


class Each:
    """A loop as a context whose value is the index; no loop where there is one round."""

    def __init__(self, code: Code, start: Index, stop: Index, step: int):
        self.start, self.loop = start, None
        once = isinstance(start, int) and isinstance(stop, int) and start + step >= stop > start
        if not once:
            self.loop = code.loop(start, stop, step)

    def __enter__(self) -> Index:
        return self.start if self.loop is None else self.loop.__enter__().index

    def __exit__(self, *error):
        if self.loop is not None:
            self.loop.__exit__(*error)
