"""An ONNX graph under construction: nodes, constants, and the names of a program's variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import extras
from chainrule.program.program import Literal, Operand, Var
from chainrule.train.export.programs import Length, Rows

_OUTPUTS = ("output", "class", "probabilities", "value")
ROWS = "rows"  # the name of the first axis' length in the file


class Graph:
    """Nodes in order; the constants, shared with the graphs inside it.

    `rows` is the name of a tensor with the number of rows, int64 (1,), made at first use.
    """

    def __init__(self, input_name: str, taken: tuple[str, ...] = (), outer: Graph | None = None):
        self.helper: Any = extras.load("onnx", "export", "Exports").helper
        self.numpy_helper: Any = extras.load("onnx.numpy_helper", "export", "Exports")
        self.nodes: list[Any] = []
        self.root: Graph = self if outer is None else outer.root
        self.names: dict[Var, str] = {} if outer is None else outer.names
        self.shapes: dict[Var, tuple[Length, ...]] = {} if outer is None else outer.shapes
        self.light: set[Var] = set() if outer is None else outer.light
        if outer is None:
            self.constants: dict[str, np.ndarray] = {}
            self._known: dict[tuple, str] = {}
            self.read: set[str] = set()  # the names that some node reads
            self._first: list[Any] = []  # nodes that stand before all others
            self._taken: set[str] = {input_name, *taken, *_OUTPUTS}
            self._input = input_name

    def inner(self) -> Graph:
        """The graph of a body, which sees all that stands outside."""
        return Graph("", outer=self)

    def all_nodes(self) -> list[Any]:
        """The nodes in the order in which they run."""
        return (self._first if self.root is self else []) + self.nodes

    def fresh(self, wish: str) -> str:
        """A name that is not taken yet."""
        taken, number, name = self.root._taken, 1, wish
        while name in taken:
            number += 1
            name = f"{wish}_{number}"
        taken.add(name)
        return name

    def add(self, kind: str, *inputs: str, outputs: int = 1, wish: str = "", **attributes) -> Any:
        """A node; the name of its output, or the list of names where there are several."""
        names = [self.fresh(wish or kind.lower()) for _ in range(outputs)]
        self.root.read.update(inputs)
        self.nodes.append(self.helper.make_node(kind, inputs, names, names[0], **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, dtype: Any = None, wish: str = "constant") -> str:
        """The name of an array in the file; equal ones stand there once."""
        array = np.ascontiguousarray(value, dtype).reshape(np.shape(value))
        key = (array.shape, array.dtype.str, array.tobytes())
        root = self.root
        if key not in root._known:
            root._known[key] = root.fresh(wish)
            root.constants[root._known[key]] = array
        return root._known[key]

    def weight(self, array: np.ndarray, path: str) -> str:
        """The name of an array of the model, which stands in the file by its path there."""
        name = self.fresh(path)
        self.constants[name] = array
        return name

    def give(self, name: str, output: str) -> None:
        """Let the graph's output of this name be the tensor."""
        self.read.add(name)
        self.nodes.append(self.helper.make_node("Identity", [name], [output], output))

    def read_constants(self) -> dict[str, np.ndarray]:
        """The constants that some node reads, by name."""
        return {name: array for name, array in self.constants.items() if name in self.read}

    def known(self, name: str) -> np.ndarray | None:
        """The array of a constant; None for other names."""
        return self.root.constants.get(name)

    def name(self, operand: Operand) -> str:
        """The name of a variable or a number."""
        if isinstance(operand, Literal):
            return self.constant(operand.value, operand.type.dtype)
        return self.names[operand]

    def shape_of(self, operand: Operand) -> tuple[Length, ...]:
        """The shape of a variable; () for a number."""
        return () if isinstance(operand, Literal) else self.shapes[operand]

    def lengths(self, shape: Sequence[Length], *, one_open: bool = False) -> str:
        """A tensor int64 (n,) with these lengths; with `one_open` a single unknown one is -1."""
        unknown = [n for n in shape if isinstance(n, Rows)]
        if not unknown or (one_open and len(unknown) == 1):
            return self.constant([-1 if isinstance(n, Rows) else n for n in shape], np.int64)
        return self._concatenated([self._length(n) for n in shape])

    def _concatenated(self, parts: list[str]) -> str:
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=0)

    def _length(self, length: Length) -> str:
        if isinstance(length, int):
            return self.constant([length], np.int64)
        name = self.root._rows()
        if length.factor != 1:
            name = self.add("Mul", name, self.constant([length.factor], np.int64))
        if length.offset:
            name = self.add("Add", name, self.constant([length.offset], np.int64))
        return name

    def _rows(self) -> str:
        if not self._first:
            name = self.fresh("row_count")
            self._first.append(
                self.helper.make_node("Shape", [self._input], [name], name, start=0, end=1)
            )
        return self._first[0].output[0]

    def type_number(self, dtype: Any) -> int:
        """ONNX's number of a dtype."""
        if np.dtype(dtype).kind == "U":
            return self.helper.np_dtype_to_tensor_dtype(np.dtype(object))
        return self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def declared(self, name: str, dtype: Any, shape: Sequence[Length]) -> Any:
        """What the file says of an input or output."""
        known = [ROWS if n == Rows(1) else None if isinstance(n, Rows) else n for n in shape]
        return self.helper.make_tensor_value_info(name, self.type_number(dtype), known)
