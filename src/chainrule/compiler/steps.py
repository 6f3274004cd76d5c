"""The steps of a compiled program: loop kernels, kernels of operations, writes, control flow.

A `Root` is one piece of memory. A `Ref` says where an array lies in it. Steps read refs and write
roots; which memory a root gets, and which steps may write over what they read, is decided when all
steps are known (buffers.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from chainrule.compiler.kernel import Kernel, Place, Site
from chainrule.compiler.layout import Lie, contiguous, is_contiguous
from chainrule.compiler.llvm.elementwise import Operation
from chainrule.compiler.llvm.gemm_epilogue import Finished, emit_finished, finished_product
from chainrule.compiler.llvm.loops import LoopSpec, Node, Operand, Reduction, Stream, number
from chainrule.compiler.llvm.reductions import emit_loop
from chainrule.program.program import Equation, Var
from chainrule.program.types import Type

if TYPE_CHECKING:
    from chainrule.compiler.region import Region


class Root:
    """A piece of memory: of a program's input or output, or in the arena.

    `place` is ("input", number), ("output", number) or ("arena", offset in bytes); an arena root
    has it once buffers are planned. `into` is the root whose memory this one has taken over.
    """

    __slots__ = ("into", "made", "nbytes", "place")

    def __init__(self, nbytes: int, place: tuple[str, int] | None = None, made: int = -1):
        self.nbytes = nbytes
        self.place = place
        self.made = made  # the number of the step that makes it
        self.into: Root | None = None

    @property
    def final(self) -> Root:
        """The root whose memory this is."""
        root = self
        while root.into is not None:
            root = root.into
        return root


class Pointer:
    """A place in a root that is found at run time: `x[i]`."""

    __slots__ = ("made", "root")

    def __init__(self, root: Root, made: int):
        self.root, self.made = root, made


@dataclass(frozen=True)
class Ref:
    """Where an array lies: from the start of a root, or from a pointer into one."""

    base: Root | Pointer
    type: Type
    lie: Lie

    @property
    def root(self) -> Root:
        return self.base if isinstance(self.base, Root) else self.base.root

    @property
    def contiguous(self) -> bool:
        return is_contiguous(self.type.shape, self.lie.strides)

    @property
    def whole(self) -> bool:
        """Whether the array is all of its root, in C order."""
        return (
            isinstance(self.base, Root)
            and self.lie.offset == 0
            and self.contiguous
            and self.type.nbytes == self.base.nbytes
        )

    def at(self, lie: Lie, type_: Type) -> Ref:
        """Another array in the same memory."""
        return Ref(self.base, type_, lie)

    def stream(self, axes: int) -> Stream:
        """As a loop kernel over so many axes meets it; a scalar is the same all over."""
        return Stream(self.type.dtype, self.lie.strides if self.type.ndim == axes else (0,) * axes)

    def place(self) -> Place:
        """As a kernel of an operation meets it."""
        return Place(self.type, self.lie.strides)


def new_root(type_: Type, made: int) -> Ref:
    """An array in memory of its own."""
    return Ref(Root(type_.nbytes, None, made), type_, contiguous(type_.shape))


Constant = np.generic
Operandlike = Ref | Constant


@dataclass(eq=False)
class Step:
    """What every step can tell."""

    number: int
    line: object = None

    def reads(self) -> list[Ref]:
        """The arrays it reads."""
        raise NotImplementedError

    def writes(self) -> list[Root]:
        """The roots it makes, or goes on writing to."""
        raise NotImplementedError

    def fallible(self) -> bool:
        """Whether it can fail."""
        return False

    def prepare(self) -> None:
        """Work out what is known once every step is there: its kernel, and its scratch memory."""

    def may_share(self, out: Root, source: Root) -> bool:
        """Whether it stays right where `out` is the memory of `source`, which it reads."""
        return False

    @property
    def is_small(self) -> bool:
        """Whether it is done sooner than a second thread is there to help."""
        return False


@dataclass(eq=False)
class Group(Step):
    """A loop kernel: equations over one domain, what it stores and what it reduces.

    With a `product`, of which it reads the result, it is that one's epilogue: the result is in
    registers, and what the product reads is read by this kernel.
    """

    domain: tuple[int, ...] = ()
    nodes: list[Equation] = field(default_factory=list)
    made: set[Var] = field(default_factory=set)
    arrays: dict[Var, Operandlike] = field(default_factory=dict)  # operands from outside
    stores: dict[Var, Ref] = field(default_factory=dict)
    copies: list[tuple[Operandlike, Ref]] = field(default_factory=list)
    axes: tuple[int, ...] | None = None
    reductions: list[tuple[str, Var, Ref]] = field(default_factory=list)
    epilogue: Kernel | None = None  # of its product, with that
    arguments: list[Ref] = field(default_factory=list)
    loop: LoopSpec | None = None  # once prepared; None where it is a product's epilogue
    scratch: Root | None = None
    product: Native | None = None
    stored_in: dict[Root, list[Ref]] = field(default_factory=dict)  # by root, once prepared
    read_from: dict[Root, list[Ref]] = field(default_factory=dict)

    def prepare(self) -> None:
        self.drop_unread()
        if self.is_empty:
            return
        spec, self.arguments = self.spec()
        self.stored_in = _by_root([*self.stores.values(), *(r for _, r in self.copies)])
        self.read_from = _by_root(self.reads())
        finished = self.finished(self.product) if self.product is not None else None
        if finished is None:
            self.loop = spec
        else:
            assert self.product is not None
            self.epilogue = emit_finished(finished)
            del self.arguments[finished.of]
            self.arguments[:0] = self.product.inputs
        if self.loop is not None and not self.loop.reductions:
            return  # it has no scratch memory, so its text can wait
        assert self.kernel is not None
        self.scratch = Root(self.kernel.scratch, None, self.number) if self.kernel.scratch else None

    @property
    def kernel(self) -> Kernel | None:
        """Its kernel, once prepared. A loop's text is written when it is asked for first: that of
        steps which are done together with others, or of a program that is only measured, never is.
        """
        return self.epilogue if self.loop is None else emit_loop(self.loop)

    def drop_unread(self) -> None:
        """Leave out what nothing in the kernel reads: other kernels made it again."""
        read: set[object] = {*self.stores, *(x for _, x, _ in self.reductions)}
        for equation in reversed(self.nodes):
            if equation.outputs[0] in read:
                read.update(equation.inputs)
        self.nodes = [e for e in self.nodes if e.outputs[0] in read]
        self.arrays = {x: r for x, r in self.arrays.items() if x in read}

    def finished(self, product: Native) -> Finished | None:
        """A product with this kernel for its epilogue; None where that is not possible."""
        spec, arguments = self.spec()
        made = [i for i, _ in enumerate(spec.loads) if arguments[i].root is product.outputs[0].root]
        if len(made) != 1 or product.site is None:
            return None
        return finished_product(product.site, spec, made[0])

    def operands(self) -> list[Ref]:
        """The arrays that its equations take from outside."""
        found = [r for r in self.arrays.values() if isinstance(r, Ref)]
        return found + [r for r, _ in self.copies if isinstance(r, Ref)]

    def reads(self) -> list[Ref]:
        if self.product is None:
            return self.operands()
        made = self.product.outputs[0].root
        return [*self.product.inputs, *(r for r in self.operands() if r.root is not made)]

    @property
    def is_small(self) -> bool:
        return self.product is not None and self.product.is_small

    @property
    def is_empty(self) -> bool:
        """Whether others make again all that it was to make."""
        return not self.results()

    def results(self) -> list[Ref]:
        """The arrays it makes."""
        stored = [*self.stores.values(), *(r for _, r in self.copies)]
        return stored + [r for _, _, r in self.reductions]

    def writes(self) -> list[Root]:
        return [r.root for r in self.results()] + ([self.scratch] if self.scratch else [])

    def may_share(self, out: Root, source: Root) -> bool:
        """Where every access to the source is at the place that is written at that moment."""
        if self.product is not None and any(r.root is source for r in self.product.inputs):
            return False
        stored = self.stored_in.get(out, [])
        if len(stored) != 1 or isinstance(stored[0].base, Pointer):
            return False
        want = stored[0]
        return all(
            isinstance(r.base, Root) and r.lie == want.lie
            and r.type.dtype.itemsize == want.type.dtype.itemsize
            for r in self.read_from.get(source, [])
        ) and len(self.domain) == len(want.type.shape)  # fmt: skip

    def spec(self) -> tuple[LoopSpec, list[Ref]]:
        """The loop kernel, and its arguments."""
        return _Specifying(self).result()


def _by_root(refs: list[Ref]) -> dict[Root, list[Ref]]:
    found: dict[Root, list[Ref]] = {}
    for ref in refs:
        found.setdefault(ref.root, []).append(ref)
    return found


class _Specifying:
    """A group's LoopSpec being made: operands numbered, equal arrays loaded once."""

    def __init__(self, group: Group):
        self.group = group
        self.loads: dict[Ref, int] = {}
        self.position: dict[Var, int] = {}
        for ref in group.operands():
            self.loads.setdefault(ref, len(self.loads))

    def operand(self, x) -> Operand:
        if isinstance(x, Ref):
            return self.loads[x]
        if isinstance(x, np.generic):
            return number(x)
        if x.is_literal:
            return number(x.value)
        if x in self.position:
            return self.position[x]
        return self.operand(self.group.arrays[x])

    def result(self) -> tuple[LoopSpec, list[Ref]]:
        group, axes = self.group, len(self.group.domain)
        nodes: list[Node] = []
        for equation in group.nodes:
            operands = tuple([self.operand(x) for x in equation.inputs])
            dtypes = tuple([x.type.dtype for x in equation.inputs])
            out = equation.outputs[0]
            params = tuple(equation.params.values())
            operation = Operation(equation.op.name, params, dtypes, out.type.dtype)
            self.position[out] = len(self.loads) + len(nodes)
            nodes.append(Node(operation, operands))
        stores = [(self.operand(v), r) for v, r in group.stores.items()]
        stores += [(self.operand(source), r) for source, r in group.copies]
        reductions = [
            Reduction(name, self.operand(x), x.type.dtype, self._spread(ref))  # type: ignore[arg-type]
            for name, x, ref in group.reductions
        ]
        spec = LoopSpec(
            group.domain, tuple([r.stream(axes) for r in self.loads]), tuple(nodes),
            tuple([(o, r.stream(axes)) for o, r in stores]), group.axes or (), tuple(reductions),
        )  # fmt: skip
        results = [r for _, r in stores] + [r for _, _, r in group.reductions]
        return spec, [*self.loads, *results]

    def _spread(self, ref: Ref) -> Stream:
        """A result's strides over the whole domain: 0 over the reduced axes."""
        kept = iter(ref.lie.strides)
        axes = self.group.axes or ()
        strides = [0 if a in axes else next(kept) for a in range(len(self.group.domain))]
        return Stream(ref.type.dtype, tuple(strides))


_SHARED_FLOPS = 2_500_000  # some thirty microseconds; a helper that sleeps takes fifty to wake


@dataclass(eq=False)
class Native(Step):
    """An operation with a kernel of its own."""

    site: Site | None = None
    kernel: Kernel | None = None
    inputs: list[Ref] = field(default_factory=list)
    outputs: list[Ref] = field(default_factory=list)
    scratch: Root | None = None
    flops: int = 0

    @property
    def is_small(self) -> bool:
        """Whether a product is done sooner than a second thread is there to help."""
        return self.site is not None and self.site.op == "contract" and self.flops < _SHARED_FLOPS

    def prepare(self) -> None:
        assert self.kernel is not None
        self.scratch = Root(self.kernel.scratch, None, self.number) if self.kernel.scratch else None

    def reads(self) -> list[Ref]:
        return self.inputs

    def writes(self) -> list[Root]:
        return [r.root for r in self.outputs] + ([self.scratch] if self.scratch else [])

    def fallible(self) -> bool:
        return self.kernel is not None and self.kernel.can_fail


@dataclass(eq=False)
class Host(Step):
    """An equation that runs on the reference evaluator, called from the compiled code."""

    equation: Equation | None = None
    inputs: list[Operandlike] = field(default_factory=list)
    outputs: list[Ref] = field(default_factory=list)

    def reads(self) -> list[Ref]:
        return [r for r in self.inputs if isinstance(r, Ref)]

    def writes(self) -> list[Root]:
        return [r.root for r in self.outputs]

    def fallible(self) -> bool:
        return True


@dataclass(eq=False)
class Point(Step):
    """Finds `x[i, j, ...]` for index scalars: bounds are checked, and a pointer is made."""

    source: Ref | None = None
    indices: list[Operandlike] = field(default_factory=list)
    index_types: list[Type] = field(default_factory=list)
    pointer: Pointer | None = None

    def reads(self) -> list[Ref]:
        return [r for r in self.indices if isinstance(r, Ref)]

    def writes(self) -> list[Root]:
        return []

    def fallible(self) -> bool:
        return True


@dataclass(eq=False)
class Keep(Step):
    """The copy of an array that is about to be written to; nothing where its memory is taken over.

    Whatever the copy is made of may share its memory: then there is nothing to do.
    """

    source: Ref | None = None
    target: Ref | None = None

    def reads(self) -> list[Ref]:
        assert self.source is not None
        return [self.source]

    def writes(self) -> list[Root]:
        assert self.target is not None
        return [self.target.root]

    def may_share(self, out: Root, source: Root) -> bool:
        assert self.source is not None and self.target is not None
        return self.source.whole and self.source.type.nbytes == self.target.type.nbytes

    @property
    def needless(self) -> bool:
        """Whether source and target have become the same memory."""
        assert self.source is not None and self.target is not None
        return self.source.root.final is self.target.root.final


@dataclass(eq=False)
class Write(Step):
    """Writes a value into a part of an array that is already there, or adds to it."""

    adds: bool = False
    value: Operandlike | None = None
    part: Ref | None = None
    kernel: Kernel | None = None
    arguments: list[Ref] = field(default_factory=list)

    def prepare(self) -> None:
        assert self.part is not None and self.value is not None
        axes = self.part.type.ndim
        dtype = self.part.type.dtype
        loads = [self.value] if isinstance(self.value, Ref) else []
        value: Operand = 0 if loads else number(self.value)  # type: ignore[arg-type]
        nodes: list[Node] = []
        if self.adds:
            loads.append(self.part)
            operation = Operation("add", (), (dtype, dtype), dtype)
            nodes.append(Node(operation, (len(loads) - 1, value)))
            value = len(loads)
        self.arguments = [*loads, self.part]
        streams = tuple([r.stream(axes) for r in loads])
        stores = ((value, self.part.stream(axes)),)
        self.kernel = emit_loop(LoopSpec(self.part.type.shape, streams, tuple(nodes), stores))

    def reads(self) -> list[Ref]:
        assert self.part is not None
        found = [self.value] if isinstance(self.value, Ref) else []
        return found + ([self.part] if self.adds else [])

    def writes(self) -> list[Root]:
        assert self.part is not None
        return [self.part.root]


@dataclass(eq=False)
class Control(Step):
    """cond, while or scan: regions of their own, run in native branches and loops.

    `operands` are arrays and constants, in the order of the equation's inputs; `outputs` are in
    the order of its outputs. Those that are carried hold their first values when the step begins.
    """

    kind: str = ""
    equation: Equation | None = None
    operands: list[Operandlike] = field(default_factory=list)
    outputs: list[Ref] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    scratch: Ref | None = None  # the arenas of the regions
    flag: Ref | None = None  # where a while loop's test puts its result

    def reads(self) -> list[Ref]:
        return [r for r in self.operands if isinstance(r, Ref)]

    def writes(self) -> list[Root]:
        extra = [r.root for r in (self.scratch, self.flag) if r is not None]
        return [r.root for r in self.outputs] + extra

    def fallible(self) -> bool:
        return any(step.fallible() for region in self.regions for step in region.steps)
