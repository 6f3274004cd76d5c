"""Writing to traced values: cells, views that write through, and what may not be written.

Writing rebinds the cell of the value written; a write to a view becomes a write to its parent.
Views re-read their parent when they are used after it changed (`trace.operand`).
"""

from __future__ import annotations

from chainrule import errors
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, View, current, operand, raise_leaked, user_line


def make_view(parent: Traced, key, read, write) -> Traced:
    """A traced value that reads `read(parent)` and writes through `write(parent, value)`."""
    value = read(parent)
    if value is parent:
        return parent
    out = Traced(value.builder, value._var, parent.weak, parent.active)
    out._view = View(parent, key, read, write)
    out._seen = operand(value.builder, parent)
    out.boxed = True
    return out


def local(traced: Traced) -> Traced:
    """The cell of a traced value in the current builder: itself, or its captured counterpart."""
    builder = current()
    if builder is None:
        raise_leaked(traced)
    assert builder is not None
    return traced if traced.builder is builder else builder.capture(traced)


def assign(target: Traced, value: Traced) -> None:
    """Rebind the target's cell to `value`, which has the target's shape and dtype."""
    target = local(target)
    if value.type is not target.type:
        raise errors.MutationError(f"cannot store {value.type} in place of {target.type}")
    view = target._view
    if view is not None:
        if view.write is None:
            raise errors.MutationError(
                f"assignment destination is read-only, at {line_text(user_line())}: "
                "it is a broadcast or diagonal view. Copy it first with .copy()."
            )
        assign(view.parent, view.write(view.parent, value))
        target._seen = operand(target.builder, view.parent)
    target._var = operand(target.builder, value)
    target.active = target.active or value.active
    for alias in target.builder.aliases.get(id(target), ()):
        if alias._var is not target._var:
            alias._var, alias.active = target._var, target.active


def captured_cell(owner, attribute: str) -> Traced:
    """The cell of an array that a captured object holds, such as a generator's state.

    Writes to the cell are written back to `owner.attribute` when the outermost trace has run.
    """
    builder = current()
    assert builder is not None
    return _cell_in(builder, owner, attribute)


def _cell_in(builder, owner, attribute: str) -> Traced:
    key = (id(owner), attribute)
    found = builder.owned.get(key)
    if found is not None:
        return found[0]
    if builder.parent is None:
        cell = builder.capture(getattr(owner, attribute))
        builder.cells[id(cell)] = (owner, attribute)
    else:
        cell = builder.capture(_cell_in(builder.parent, owner, attribute))
    builder.owned[key] = (cell, owner)
    return cell
