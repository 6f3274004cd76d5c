"""Random Python functions that view, write, read and alias arrays, as source text.

Every statement is tried out on NumPy while it is drawn, so that shapes are known, and only
statements that NumPy accepts are kept. All operations are analytic: the complex step through plain
NumPy is an independent truth for derivatives.
"""

import numpy as np
from hypothesis import strategies as st

LAYOUTS = ("C", "F", "strided", "reversed")


def array_of(layout: str, shape, seed: int) -> np.ndarray:
    """An array of some memory layout: contiguous, Fortran, every other element, or backwards."""
    values = np.random.default_rng(seed).uniform(-1.0, 1.0, shape)
    return laid_out(values, layout)


def laid_out(values: np.ndarray, layout: str) -> np.ndarray:
    """A copy of the values in this memory layout."""
    if layout == "strided":
        holder = np.zeros(tuple(2 * n for n in values.shape), values.dtype)
        view = holder[tuple(slice(None, None, 2) for _ in values.shape)]
    elif layout == "reversed":
        view = np.zeros(values.shape, values.dtype)[::-1]
    else:
        view = np.zeros(values.shape, values.dtype, order=layout)
    view[...] = values
    return view


class Case:
    """A drawn function: its source, and the layouts of its arguments a: (4,) and b: (2, 3)."""

    def __init__(self, lines: list[str], layouts: tuple[str, str]):
        self.lines, self.layouts = lines, layouts

    @property
    def source(self) -> str:
        return "\n".join(["def f(a, b):", *(f"    {line}" for line in self.lines)])

    def __repr__(self) -> str:
        return f"# layouts {self.layouts}\n{self.source}"

    def function(self, run=None):
        """The function; `run(block)` runs its blocks, by default plainly."""
        scope: dict = {"np": np, "run": run or (lambda block: block())}
        exec(self.source, scope)
        return scope["f"]

    def arguments(self) -> list[np.ndarray]:
        return [array_of(self.layouts[0], (4,), 1), array_of(self.layouts[1], (2, 3), 2)]


@st.composite
def cases(draw, steps: int = 14, blocks: bool = False):
    """With `blocks`, some statements stand in inner functions, which a parameter `run` runs."""
    layouts = (draw(st.sampled_from(LAYOUTS)), draw(st.sampled_from(LAYOUTS)))
    case = Case([], layouts)
    a, b = case.arguments()
    scope = {"np": np, "a": a, "b": b}
    for number in range(draw(st.integers(3, steps))):
        if blocks and draw(st.integers(0, 3)) == 0:
            case.lines += block(draw, scope, number)
            continue
        line = draw(st.sampled_from(STATEMENTS))(draw, scope, f"v{number}")
        if line and accepted(line, scope):
            case.lines.append(line)
    names = [n for n in scope if n not in ("np", "__builtins__")]
    terms = [f"{k + 1} * np.sum(np.sin({name}))" for k, name in enumerate(names)]
    case.lines.append(f"return {' + '.join(terms)}")
    return case


def block(draw, scope: dict, number: int) -> list[str]:
    """An inner function that writes to arrays of the outer one, and the call that runs it."""
    inner, lines = dict(scope), []
    for k in range(draw(st.integers(1, 4))):
        line = draw(st.sampled_from(IN_BLOCKS))(draw, inner, f"w{number}_{k}")
        if line and accepted(line, inner):
            lines.append(f"    {line}")
    name = f"block{number}"
    return [f"def {name}():", *lines, f"run({name})"] if lines else []


def accepted(line: str, scope: dict) -> bool:
    """Run a statement on NumPy; False, and the names as before, where NumPy refuses it."""
    before = dict(scope)
    try:
        exec(line, scope)
        if all(np.size(v) <= 40 for n, v in scope.items() if n not in ("np", "__builtins__")):
            return True
    except (ValueError, TypeError, IndexError, AttributeError):
        pass
    scope.clear()
    scope.update(before)
    return False


# --- parts of statements -------------------------------------------------------------------------


def name_of(draw, scope, at_least_1d=False) -> str:
    names = [
        n
        for n, v in scope.items()
        if n not in ("np", "__builtins__") and (np.ndim(v) or not at_least_1d)
    ]
    return draw(st.sampled_from(names))


def slice_text(draw, n: int) -> str:
    kind = draw(st.integers(0, 5))
    low = draw(st.integers(0, n))
    high = draw(st.integers(low, n))
    return (
        ":", f"{low}:", f":{high}", f"{low}:{high}", "::-1", f"{low}::2"
    )[kind]  # fmt: skip


def basic_key(draw, shape) -> str:
    entries = []
    for n in shape[: draw(st.integers(1, max(len(shape), 1)))]:
        if n and draw(st.integers(0, 2)) == 0:
            entries.append(str(draw(st.integers(-n, n - 1))))
        else:
            entries.append(slice_text(draw, n))
    if draw(st.integers(0, 7)) == 0:
        entries.insert(draw(st.integers(0, len(entries))), "None")
    if draw(st.integers(0, 7)) == 0 and len(entries) < len(shape):
        entries.append("...")
    return ", ".join(entries) or "..."


def advanced_key(draw, shape) -> str:
    n = shape[0]
    if not n:
        return ":"
    kind = draw(st.integers(0, 3))
    rows = draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=3))
    if kind == 0:
        mask = [draw(st.booleans()) for _ in range(n)]
        return f"np.array({mask})"
    if kind == 1 and len(shape) > 1 and shape[1]:
        columns = [draw(st.integers(0, shape[1] - 1)) for _ in rows]
        return f"{rows}, {columns}"
    if kind == 2 and len(shape) > 1:
        return f"{rows}, {slice_text(draw, shape[1])}"
    return f"{rows}"


def key_text(draw, shape) -> str:
    return advanced_key(draw, shape) if draw(st.integers(0, 2)) == 0 else basic_key(draw, shape)


def expression(draw, scope) -> str:
    """An expression that reads arrays; its shape may fit or not, NumPy decides."""
    x, y = name_of(draw, scope), name_of(draw, scope)
    number = draw(st.sampled_from(("0.5", "-2", "3.0")))
    return draw(
        st.sampled_from(
            (number, x, f"{x} * {number}", f"{x} + {y}", f"{x} * {y}", f"np.sin({x})",
             f"{x} - 1", f"{x}[..., ::-1]", f"np.sum({x})", f"np.cos({x}).sum()")
        )
    )  # fmt: skip


# --- statements ----------------------------------------------------------------------------------

VIEWS = (
    "{x}.T", "{x}.ravel()", "{x}.reshape(-1)", "{x}.copy()", "{x}.swapaxes(0, -1)", "{x}[::-1]",
    "{x}.squeeze()", "np.transpose({x})", "np.ravel({x})", "np.expand_dims({x}, 0)", "np.flip({x})",
    "np.atleast_2d({x})", "np.moveaxis({x}, 0, -1)", "{x}.flatten()", "{x}.view()", "{x}[...]",
    "np.split({x}, 2)[1]", "np.asarray({x})", "np.reshape({x}, (2, 2))", "{x}.reshape(3, 2)",
    "np.broadcast_to({x}, (2, *np.shape({x})))", "np.diagonal({x})", "{x}.transpose()",
    "{x}.reshape(6, order='F')", "{x}.ravel(order='F')", "np.squeeze({x})",
    "np.rot90({x})", "{x}.ravel(order='K')", "list({x})[0]", "np.atleast_1d({x})",
)  # fmt: skip


def take_view(draw, scope, new):
    return f"{new} = " + draw(st.sampled_from(VIEWS)).format(x=name_of(draw, scope))


def take_slice(draw, scope, new):
    x = name_of(draw, scope, at_least_1d=True)
    return f"{new} = {x}[{basic_key(draw, np.shape(scope[x]))}]"


def take_rows(draw, scope, new):
    x = name_of(draw, scope, at_least_1d=True)
    return f"{new} = {x}[{advanced_key(draw, np.shape(scope[x]))}]"


def alias(draw, scope, new):
    return f"{new} = {name_of(draw, scope)}"


def compute(draw, scope, new):
    return f"{new} = {expression(draw, scope)} + 0 * b[0, 0]"  # never a plain number


def rebind(draw, scope, new):
    target = name_of(draw, scope)
    return None if target == "b" else f"{target} = {expression(draw, scope)} + 0 * b[0, 0]"


def write_item(draw, scope, new):
    x = name_of(draw, scope, at_least_1d=True)
    sign = draw(st.sampled_from(("=", "+=", "-=", "*=")))
    key, value = key_text(draw, np.shape(scope[x])), expression(draw, scope)
    if "np.array" in key:  # with a mask NumPy reads a value that overlaps while it writes
        value = f"1 * ({value})"
    return f"{x}[{key}] {sign} {value}"


def augment(draw, scope, new):
    sign = draw(st.sampled_from(("+=", "-=", "*=")))
    return f"{name_of(draw, scope)} {sign} {expression(draw, scope)}"


def write_out(draw, scope, new):
    x, y, z = (name_of(draw, scope, at_least_1d=True) for _ in range(3))
    total = f"np.cumsum({x}, out={z})" if np.shape(scope[x]) == (4,) == np.shape(scope[z]) else None
    return draw(
        st.sampled_from(
            (f"np.multiply({x}, {y}, out={z})", f"np.sin({x}, out={z})", f"np.copyto({z}, +{x})",
             f"{z}.fill(0.25)", f"np.add({x}, 1.0, {z})", total,
             f"np.negative({x}, out={z})", f"{new} = np.subtract({x}, {y}, out={z})")
        )
    )  # fmt: skip


def add_at(draw, scope, new):
    x = name_of(draw, scope, at_least_1d=True)
    if not scope[x].flags.writeable:
        return None  # NumPy writes to it nevertheless
    return f"np.add.at({x}, np.s_[{advanced_key(draw, np.shape(scope[x]))}], 0.5)"


def over_rows(draw, scope, new):
    x = name_of(draw, scope, at_least_1d=True)
    return f"for {new} in {x}: {new} *= 0.5"


def augment_elements(draw, scope, new):
    sign = draw(st.sampled_from(("=", "+=", "-=", "*=")))
    x = name_of(draw, scope, at_least_1d=True)
    return f"{x}[...] {sign} {expression(draw, scope)}"


IN_BLOCKS = [
    take_view, take_slice, compute, write_item, write_item, augment_elements, write_out, add_at,
]  # fmt: skip

STATEMENTS = [
    take_view, take_view, take_slice, take_slice, take_rows, alias, compute, rebind, over_rows,
    write_item, write_item, write_item, write_item, augment, augment, write_out, write_out, add_at,
]  # fmt: skip
