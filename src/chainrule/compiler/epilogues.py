"""Which loop kernels become the epilogue of a product: those that alone read its result.

The gradient of a weight is then never in memory: the weight is updated where a vector of the
gradient is finished, or with its moments where a part of it is (llvm/gemm_parts.py); so are a
layer's bias and activation. What is faster apart stays apart (llvm/gemm_epilogue.py). The step is
done in the place of the loop kernel where that updates arguments, which is after the last reader of
the old values; else where the product was, as soon as everything it needs is there.

Source    the epilogues of NVIDIA's CUTLASS; that updates belong there too is ours.
"""

from __future__ import annotations

from chainrule.compiler.schedule import Schedule
from chainrule.compiler.steps import Group, Native, Point, Pointer, Ref, Root, Step
from chainrule.program.program import Var


def with_epilogues(schedule: Schedule, outputs: list[Ref]) -> list[Step]:
    """The steps, renumbered, in which products have taken in the kernels that finish them.

    `outputs` are the arrays that the program gives.
    """
    for step in schedule.steps:
        if isinstance(step, Group):
            step.drop_unread()  # what it seems to read and does not would count as a reader
    found = _Joining(schedule, outputs)
    for step in schedule.steps:
        if isinstance(step, Group) and not step.reductions and not step.copies:
            found.join(step)
    return found.steps()


class _Joining:
    def __init__(self, schedule: Schedule, outputs: list[Ref]):
        self.schedule = schedule
        self.products = {
            s.outputs[0].root: s for s in schedule.steps
            if isinstance(s, Native) and s.site is not None and s.site.op == "contract"
        }  # fmt: skip
        self.readers: dict[Root, list[int]] = {}
        self.writers: dict[Root, list[int]] = {}
        self.place: dict[Step, int | None] = {}  # of the steps that move; None of those left out
        for step in schedule.steps if self.products else []:
            sources = [step.source] if isinstance(step, Point) and step.source else []
            for root in {r.root for r in [*step.reads(), *sources]}:
                self.readers.setdefault(root, []).append(step.number)
            for root in step.writes():
                self.writers.setdefault(root, []).append(step.number)
        for ref in outputs:
            self.readers.setdefault(ref.root, []).append(len(schedule.steps))
        self.names: dict[Root, list[Var]] = {}  # of the products' results, and their views
        for var, ref in schedule.refs.items() if self.products else []:
            if ref.root in self.products:
                self.names.setdefault(ref.root, []).append(var)

    def join(self, group: Group) -> None:
        """Make a kernel the epilogue of the last product whose result it alone reads."""
        roots = {r.root for r in group.operands()}
        for root in sorted(roots & self.products.keys(), key=lambda r: -self.products[r].number):
            product = self.products[root]
            if self.readers[root] != [group.number] or self.writers[root] != [product.number]:
                continue
            place = self._place_of(product, group)
            if place is not None and group.finished(product) is not None:
                group.product = product
                group.made.update(self.names[root])
                self.place.update({product: None, group: place})
                return

    def _place_of(self, product: Native, group: Group) -> int | None:
        """The step in whose place both can be done; None where there is none."""
        made = product.outputs[0].root
        updates = any(v in self.schedule.updates for v in group.stores)
        ready = [self._ready(ref) for ref in group.operands() if ref.root is not made]
        if not updates and max(ready, default=-1) < product.number:
            return product.number
        for ref in product.inputs:
            if any(product.number < n <= group.number for n in self.writers.get(ref.root, ())):
                return None
            if self._updated_by(ref.root, group.number):
                return None
        return group.number

    def _ready(self, ref: Ref) -> int:
        """The step that completes an array, or finds it."""
        found = ref.base.made if isinstance(ref.base, Pointer) else -1
        return max(found, *self.writers.get(ref.root, [-1]))

    def _updated_by(self, root: Root, number: int) -> bool:
        """Whether an argument has its new value by so many steps: it is not to be read again."""
        schedule = self.schedule
        if root.place is None or root.place[0] != "input":
            return False
        for var, i in schedule.updates.items():
            ref = None if var.is_literal else schedule.refs.get(var)
            if i == root.place[1] and ref is not None and ref.root.made <= number:
                return True
        return False

    def steps(self) -> list[Step]:
        """All steps in their places."""
        places = {s: self.place.get(s, s.number) for s in self.schedule.steps}
        kept = [(n, s) for s, n in places.items() if n is not None]
        found = [s for _, s in sorted(kept, key=lambda both: both[0])]
        for number, step in enumerate(found):
            step.number = number
        return found
