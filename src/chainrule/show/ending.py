"""The end of a printed function: what it writes to its arguments, and what it returns."""

from __future__ import annotations

from chainrule.effects import Change
from chainrule.program.program import Var
from chainrule.program.tree import LEAF, Static
from chainrule.show.fragments import WIDTH, Fragment, tuple_text
from chainrule.show.signature import Signature, quoted
from chainrule.show.writer import Body, Writer, role_of
from chainrule.tracing import Call


class Ending:
    """Writes effects and the return statement from the outputs of the program."""

    def __init__(
        self, call: Call, signature: Signature, writer: Writer, body: Body,
        results: list[Fragment], captured: list,
    ):  # fmt: skip
        self.call, self.signature, self.writer, self.body = call, signature, writer, body
        self.results = results
        held = [c.text if isinstance(c, Fragment) else "" for c in captured]
        self.places = [*held, *signature.leaves]  # of the program's inputs

    def write(self) -> None:
        """The statements that end the function."""
        if self.call.effects:
            self._leave_owned()
            self._compute_all()
            self._write_effects()
        self._return()

    def _leave_owned(self) -> None:
        """What is written needs no copy, unless it is memory of an argument."""
        memory = self.body.reading.memory
        outputs = self.body.program.outputs
        for i in range(self.call.count, len(self.results)):
            var = outputs[i]
            if isinstance(var, Var) and memory.root.get(var) not in self.body.program.inputs:
                self.results[i] = self.body.fragments[var]

    def _compute_all(self) -> None:
        """Give every result a name before anything that it may read is written."""
        outputs = self.body.program.outputs
        for i, made in enumerate(self.results):
            var = outputs[i]
            if made.text.isidentifier() or made.text in self.places or not isinstance(var, Var):
                continue
            if i >= self.call.count and self.body.fragments[var].text in self.places:
                continue  # updated in place, or one argument written to another at the end
            self.results[i] = self.writer.assign(var, made.text)

    def _write_effects(self) -> None:
        values = self.results[self.call.count :]
        outputs = self.body.program.outputs[self.call.count :]
        start = 0
        for effect in self.call.effects:
            found = values[start : start + effect.count]
            own = outputs[start : start + effect.count]
            start += effect.count
            if effect.change is not None:
                self._write_change(effect.change, found)
            elif effect.target is not None:
                place, var = self.places[effect.target], own[0]
                if var.is_literal or self.body.fragments[var].text != place:
                    self.writer.line(f"{place}[...] = {found[0].text}")

    def _write_change(self, change: Change, values: list[Fragment]) -> None:
        container = self.call.containers[change.container]
        place = self.signature.path_of(container)
        if place is None:
            self.writer.line("# an object that the function closes over changes too; not shown")
            return
        entry = _entry(container, change.key)
        if change.structure is None:
            self.writer.line(f"{place}.pop({quoted(change.key)})")
            return
        texts = []
        for own, weak, made in zip(change.own, change.weak, values, strict=True):
            if own is not None:
                texts.append(self.places[own])
            else:
                texts.append(_as_python(made) if weak else made.text)
        items = change.structure.children if change.key is not None else None
        if items is not None:
            text = structure_text(items[0], iter(texts))
        else:
            text = structure_text(change.structure, iter(texts))
        self.writer.line(f"{place}{entry} = {text}")

    def _return(self) -> None:
        texts = [made.text for made in self.results[: self.call.count]]
        for i, number in self.call.returned.items():
            texts[i] = self.places[number]
        if texts or not isinstance(self.call.structure, Static):
            text = structure_text(self.call.structure, iter(texts), bare=True)
            if len(text) > WIDTH - 12:
                text = structure_text(self.call.structure, iter(texts))
            self.writer.line(f"return {text}")
        elif self.call.structure.value is not None:
            self.writer.line(f"return {structure_text(self.call.structure, iter(texts))}")


def _entry(container, key) -> str:
    if key is None:
        return "[:]"
    return f"[{quoted(key)}]" if isinstance(container, dict) else f".{key}"


def _as_python(made: Fragment) -> str:
    return made.get(".item()").text


def structure_text(structure, texts, bare: bool = False) -> str:
    """A tree of this structure as Python writes it; objects of classes become dicts."""
    if structure is LEAF:
        return next(texts)
    if isinstance(structure, Static):
        value = structure.value
        plain = value is None or isinstance(value, bool | str)
        return quoted(value) if plain else "None"
    parts = [structure_text(child, texts) for child in structure.children]
    kind = structure.kind
    if kind is list:
        return f"[{', '.join(parts)}]"
    if isinstance(kind, type) and issubclass(kind, tuple):
        return ", ".join(parts) if bare and len(parts) > 1 else tuple_text(parts)
    keys = [quoted(k) for k in structure.keys]
    return "{" + ", ".join(f"{k}: {p}" for k, p in zip(keys, parts, strict=True)) + "}"


_BACKWARD = "backward: d_v is the derivative of the result with respect to v"


def with_sections(writer: Writer, end: int) -> None:
    """Put headings over the forward and the backward part, where one follows the other."""
    roles = [(line, role_of(var) > 0, var) for line, var in writer.steps if line < end]
    named = [(line, derived) for line, derived, var in roles if var is not None and var.name]
    first = next((i for i, (_, derived) in enumerate(named) if derived), None)
    if first is None or first == 0 or any(not derived for _, derived in named[first:]):
        return
    last_forward = named[first - 1][0]
    start = min(line for line, _, _ in roles if line > last_forward)
    writer.lines[start:start] = ["", f"    # {_BACKWARD}"]
    writer.lines.insert(named[0][0], "    # forward")
