"""Definitions that printed source needs beside NumPy: functions taken from chainrule's own files.

An operation whose value takes more than a line of NumPy prints as a call of a function. Its text,
and that of everything it uses, is cut from the module that evaluates the operation, so there is one
copy of each fact. Only plain functions of NumPy and SciPy can be taken: what they use of chainrule
itself is rewritten (errors become Python's own, SciPy is imported at the top).
"""

from __future__ import annotations

import ast
import builtins
import copy
import importlib
import inspect
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

from chainrule import errors

_SCIPY_MODULE = "scipy_special"  # a function that gives the module scipy.special
# What spectral operations do beside a degenerate point (program/displacement.py); at it, nothing.
_IDENTITIES = {"apart", "apart_and_from_zero"}


class Definitions:
    """The definitions and imports that one printed source needs, in order.

    `taken` are names that no definition may have: the function's own, and those of its variables.
    """

    def __init__(self, taken: set[str]) -> None:
        self.blocks: list[str] = []
        self.imports: set[str] = {"import numpy as np"}
        self.names: dict[str, object] = dict.fromkeys(taken)  # shown -> what it stands for
        self._shown: dict[tuple[str, str], str] = {}

    @property
    def entered(self) -> set[str]:
        """The names of the definitions."""
        return {name for name, meaning in self.names.items() if meaning is not None}

    def written(self, name: str, text: str) -> str:
        """Enter a definition given as text, of a function or a constant; returns its name."""
        shown = name
        while self.names.get(shown, text) != text:
            shown += "_"
        if shown not in self.names:
            self.names[shown] = text
            self.blocks.append(text.replace(name, shown, 1) if shown != name else text)
        return shown

    def module(self, name: str) -> str:
        """Import a module, such as `scipy.special`; returns its name."""
        self.imports.add(f"import {name}")
        return name

    def function(self, function) -> str:
        """Enter a function of one of chainrule's modules; returns its name in the source."""
        return self.take(function.__module__, function.__qualname__)

    def lambda_(self, name: str, value) -> str:
        """Enter a lambda of one of chainrule's modules as a function of this name."""
        node = copy.deepcopy(_lambda_node(value))
        for part in ast.walk(node.body):
            if isinstance(part, ast.Name) and part.id in _bindings(value.__module__):
                part.id = self.take(value.__module__, part.id)
        arguments, body = ast.unparse(node.args), ast.unparse(node.body)
        return self.written(name, f"def {name}({arguments}):\n    return {body}")

    def take(self, module: str, name: str) -> str:
        """Enter what `name` is in a module of chainrule, with all that it uses."""
        key = (module, name)
        if key in self._shown:
            return self._shown[key]
        binding = _bindings(module).get(name)
        if binding is None:
            raise KeyError(f"{module} does not define {name}")
        if isinstance(binding.node, ast.Import | ast.ImportFrom):
            return self._import(binding, name)
        shown = self._free_name(key)
        self._shown[key] = shown
        text = self._text(module, binding.node)
        self.blocks.append(text)
        return shown

    def _import(self, binding: _Binding, name: str) -> str:
        node = binding.node
        alias = binding.alias
        assert alias is not None
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chainrule"):
            return self.take(node.module or "", alias.name)
        suffix = f" as {alias.asname}" if alias.asname else ""
        if isinstance(node, ast.ImportFrom):
            self.imports.add(f"from {node.module} import {alias.name}{suffix}")
        else:
            self.imports.add(f"import {alias.name}{suffix}")
        return name

    def _free_name(self, key: tuple[str, str]) -> str:
        module, name = key
        inside = _local_names(_bindings(module)[name].node)
        plain = name.lstrip("_")
        for wish in (plain, name, f"{plain}_of_{module.rpartition('.')[2]}", f"{plain}_"):
            if wish not in self.names and wish not in inside:
                self.names[wish] = key
                return wish
        raise KeyError(f"no free name for {module}.{name}")

    def _text(self, module: str, node: ast.stmt) -> str:
        source = _lines(module)
        edits = _Edits(self, module, node)
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        lines = source[first - 1 : node.end_lineno]
        return edits.applied(lines, first).replace("  # fmt: skip", "")


class _Binding(NamedTuple):
    """The statement of a module that binds a name, and the alias where it is an import."""

    node: ast.stmt
    alias: ast.alias | None = None


@cache
def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


@cache
def _lines(module: str) -> list[str]:
    return inspect.getsource(_module(module)).splitlines()


@cache
def _bindings(module: str) -> dict[str, _Binding]:
    found: dict[str, _Binding] = {}
    for node in ast.parse("\n".join(_lines(module))).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = _Binding(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = _Binding(node, alias)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for part in ast.walk(target):
                    if isinstance(part, ast.Name):
                        found[part.id] = _Binding(node)
    return found


def _local_names(node: ast.stmt) -> frozenset[str]:
    """The names that a function binds inside itself."""
    if not isinstance(node, ast.FunctionDef):
        return frozenset()
    inside = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    inside |= {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    return frozenset(inside)


def is_plain_lambda(value) -> bool:
    """Whether a function is a lambda that uses only what its module defines."""
    code = getattr(value, "__code__", None)
    if code is None or code.co_name != "<lambda>" or value.__closure__:
        return False
    return _lambda_node(value) is not None


@cache
def _lambdas(module: str) -> dict[tuple[int, int], ast.Lambda]:
    """The lambdas of a module by where their bodies begin."""
    tree = ast.parse("\n".join(_lines(module)))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
    return {(node.body.lineno, node.body.col_offset): node for node in nodes}


def _lambda_node(value) -> Any:
    spans = [(p[0], p[2]) for p in value.__code__.co_positions()]
    found = _lambdas(value.__module__)
    return next((found[span] for span in spans if span in found), None)


class _Edits(ast.NodeVisitor):
    """The changes to one definition's text: names, annotations, errors, modules."""

    def __init__(self, definitions: Definitions, module: str, node: ast.stmt):
        self.definitions, self.module = definitions, module
        self.changes: list[tuple[int, int, int, int, str]] = []
        self.local = _local_names(node)
        self._rename_definition(node)
        self.visit(node)

    def _rename_definition(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            shown = self.definitions.take(self.module, node.name)
            if shown != node.name:
                word = "def " if isinstance(node, ast.FunctionDef) else "class "
                start = node.col_offset + len(word)
                self._change(node.lineno, start, node.lineno, start + len(node.name), shown)

    def _change(self, line: int, start: int, end_line: int, end: int, text: str) -> None:
        self.changes.append((line, start, end_line, end, text))

    def _replace(self, node, text: str) -> None:
        self._change(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset, text)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.returns is not None:
            self._drop_return(node)
        for child in ast.iter_child_nodes(node):
            if child is not node.returns:
                self.visit(child)

    def _drop_return(self, node: ast.FunctionDef) -> None:
        """Remove ` -> annotation`, which ends before the colon of the def line."""
        returns = node.returns
        assert returns is not None
        line = _lines(self.module)[returns.lineno - 1]
        start = line.rfind(" ->", 0, returns.col_offset)
        self._replace_span(returns, returns.lineno, start)

    def _replace_span(self, node: ast.expr, line: int, start: int) -> None:
        self._change(line, start, node.end_lineno or line, node.end_col_offset or 0, "")

    def visit_arg(self, node: ast.arg) -> None:
        """Remove `: annotation`; a default then stands without spaces around its sign."""
        if node.annotation is None:
            return
        start, stop = node.col_offset + len(node.arg), node.annotation.end_col_offset or 0
        line = node.annotation.end_lineno or 0
        rest = _lines(self.module)[line - 1][stop:]
        sign = "=" if rest.startswith(" = ") else ""
        self._change(node.lineno, start, line, stop + 3 * bool(sign), sign)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not self.local:
            self.generic_visit(node)  # of a class or module: its annotation is evaluated
            return
        end = node.annotation
        if node.value is None:
            self._replace(node, "pass")
            return
        start = node.target.end_col_offset or 0
        self._change(node.lineno, start, end.end_lineno or 0, end.end_col_offset or 0, "")
        self.visit(node.target)
        self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            name = node.func.id
            if name == _SCIPY_MODULE and not node.args:
                self._replace(node, self.definitions.module("scipy.special"))
                return
            if name == "import_module" and isinstance(node.args[0], ast.Constant):
                self._replace(node, self.definitions.module(str(node.args[0].value)))
                return
            if name in _IDENTITIES:
                self._replace(node.func, "")
                for argument in node.args:
                    self.visit(argument)
                return
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id == "errors":
            kind = getattr(errors, node.attr)
            own = [c for c in kind.__mro__ if c.__module__ == "builtins"]
            self._replace(node, own[0].__name__)
            return
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        name = node.id
        if name in self.local or (hasattr(builtins, name) and name not in _bindings(self.module)):
            return
        if name in _bindings(self.module):
            shown = self.definitions.take(self.module, name)
            if shown in self.local:
                shown = self.definitions.written(name, f"{name} = {shown}")
            if shown != name:
                self._replace(node, shown)

    def applied(self, lines: list[str], first: int) -> str:
        """The text with all changes made, the last one first."""
        lines = [line.encode() for line in lines]  # type: ignore[misc]
        for line, start, end_line, end, text in sorted(self.changes, reverse=True):
            a, b = line - first, end_line - first
            joined = lines[a][:start] + text.encode() + lines[b][end:]  # type: ignore[operator]
            lines[a : b + 1] = [joined]
        return "\n".join(line.decode() for line in lines)  # type: ignore[attr-defined]
