"""Everything that a resumed training needs, as arrays by name and facts that fit into JSON.

| names | arrays |
|---|---|
| model/PATH | parameters and state, by their paths |
| optimizer/... | the optimizer's own arrays, its schedule's included |
| scaling/... | of the loss scale, in mixed precision |
| generator | the state of the generator that dropout draws from |

The same arrays appear again under previous/ (the start of the stretch before, which the babysitter
may go back to), first/ (where training started) and best/PATH (the best weights so far). Objects
are described by the names of their classes, which are looked up in tables: restoring runs no code
of a file.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import errors, nn, optim
from chainrule.nn.module import leaves
from chainrule.program.tree import node_of
from chainrule.train.early_stopping import EarlyStopping
from chainrule.train.precision import LossScale

Arrays = dict[str, np.ndarray]
CLASSES: dict[str, type] = {**optim.OPTIMIZERS, **optim.SCHEDULES, "LossScale": LossScale}


class Parts:
    """Where the arrays and the options of a model are: looked for once, and read often."""

    def __init__(self, model: Any):
        self.leaves = sorted(leaves(model), key=lambda leaf: not leaf.learned)
        self.modules = list(nn.named_modules(model))
        self._nodes: list[tuple[Any, int, list[tuple[int, Any]]]] = []
        self._remember(model)

    def _remember(self, value: Any) -> None:
        children = _children(value)
        inner = [(i, c) for i, c in enumerate(children) if node_of(c) is not None]
        self._nodes.append((value, len(children), inner))
        for _, child in inner:
            self._remember(child)

    def stand(self) -> bool:
        """Whether the model still is of the same layers and lists: nobody has put in others."""
        for value, count, inner in self._nodes:
            children = _children(value)
            if len(children) != count or any(children[i] is not child for i, child in inner):
                return False
        return True

    def arrays(self) -> Arrays:
        """Parameters and then state by path, the arrays themselves."""
        return {leaf.path: leaf.array for leaf in self.leaves}

    def options(self) -> dict[str, dict[str, Any]]:
        """The numbers and texts that the layers hold, by path: rates, bounds and the like."""
        found = {path: {k: v for k, v in vars(module).items() if k[:1] != "_" and _is_plain(v)}
                 for path, module in self.modules}  # fmt: skip
        return {path: options for path, options in found.items() if options}


def _children(value: Any) -> list[Any] | tuple[Any, ...]:
    if isinstance(value, list | tuple):
        return value
    return list((value if isinstance(value, dict) else getattr(value, "__dict__", {})).values())


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | str) or (isinstance(value, float) and math.isfinite(value))


def model_arrays(model: Any) -> Arrays:
    """Parameters and state by path, the arrays themselves."""
    return Parts(model).arrays()


def put_arrays(model, arrays: Arrays, prefix: str = "") -> None:
    """Writes arrays into a model, by path.

    **Errors** `FileDamaged` where a path is missing, or has another shape or dtype.
    """
    for path, array in model_arrays(model).items():
        found = arrays.get(prefix + path)
        if found is None or found.shape != array.shape or found.dtype != array.dtype:
            said = "none" if found is None else f"{found.dtype} {found.shape}"
            raise errors.FileDamaged(
                f"the model needs {array.dtype} {array.shape} for {path}, got {said}."
            )
        array[...] = found


def taken_apart(value: Any, name: str, arrays: Arrays) -> Any:
    """The facts of a value; its arrays, copied, go into `arrays` under names that start so."""
    if isinstance(value, np.ndarray):
        arrays[name] = value.copy()
        return {"array": name}
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | np.number):
        return value.item() if isinstance(value, np.number) else value
    if isinstance(value, list | tuple):
        return [taken_apart(item, f"{name}[{i}]", arrays) for i, item in enumerate(value)]
    facts = {key: taken_apart(item, f"{name}.{key}", arrays) for key, item in vars(value).items()}
    return {"class": type(value).__name__, "is": facts}


def put_together(facts: Any, arrays: Arrays, prefix: str, known: dict[str, type]) -> Any:
    """The value of facts made by `taken_apart`; arrays, behind a prefix, are copied."""
    if isinstance(facts, list):
        return [put_together(item, arrays, prefix, known) for item in facts]
    if not isinstance(facts, dict):
        return facts
    if set(facts) == {"array"}:
        if prefix + str(facts["array"]) not in arrays:
            raise errors.FileDamaged(f"the array {prefix}{facts['array']} is missing.")
        return arrays[prefix + facts["array"]].copy()
    kind = known.get(facts.get("class", ""))
    if kind is None:
        raise errors.FileDamaged(
            f"{facts.get('class')!r} is no optimizer or schedule known here ({', '.join(known)}): "
            "where it is one of yours, pass it to resume."
        )
    made: Any = object.__new__(kind)
    for key, item in facts["is"].items():
        object.__setattr__(made, key, put_together(item, arrays, prefix, known))
    return made


def capture(session: Any) -> tuple[Arrays, dict[str, Any]]:
    """A copy of all that the next steps depend on: weights, optimizer, place in the data, stopping.

    That is also what callbacks may change: the rates of dropout, the options of the optimizer.
    What only grows or is remembered on purpose is not in it: records, the babysitter, the best.
    """
    parts = session.parts()
    arrays = {f"model/{path}": a.copy() for path, a in parts.arrays().items()}
    place = session.place
    facts = {
        "optimizer": taken_apart(session.optimizer, "optimizer", arrays),
        "scaling": taken_apart(session.scaling, "scaling", arrays),
        "place": {**vars(place), "left_out": list(place.left_out)},
        "stopping": None if session.stopping is None else session.stopping.state(),
        "records": len(session.history.records),
        "layers": parts.options(),
    }
    arrays["generator"] = session.rng.state.copy()
    return arrays, facts


def put_back(session: Any, arrays: Arrays, facts: dict[str, Any], prefix: str = "") -> None:
    """Makes a session what it was when `capture` gave these."""
    put_arrays(session.model, arrays, prefix + "model/")
    modules = dict(nn.named_modules(session.model))
    for path, options in facts.get("layers", {}).items():
        vars(modules[path]).update(options)
    known = {**CLASSES, **session.classes}
    for name in ("optimizer", "scaling"):
        made = put_together(facts[name], arrays, prefix, known)
        if made is not None:
            _become(getattr(session, name), made)
    session.rng.state[...] = arrays[prefix + "generator"]
    for key, value in facts["place"].items():
        setattr(session.place, key, list(value) if isinstance(value, list) else value)
    if facts["stopping"] is not None:
        session.stopping = EarlyStopping(**facts["stopping"])
    del session.history.records[facts["records"] :]


def _become(old: Any, new: Any) -> None:
    """The object as another one: whoever holds it sees the change."""
    if type(old) is not type(new):
        raise errors.StructureMismatch(
            f"the saved {type(new).__name__} does not fit the {type(old).__name__} given."
        )
    vars(old).clear()
    vars(old).update(vars(new))


def classes_of(value: Any) -> dict[str, type]:
    """The classes of an object and of what it holds, by name: so that ones of yours are known."""
    found: dict[str, type] = {}
    if hasattr(value, "__dict__"):
        found[type(value).__name__] = type(value)
        for item in vars(value).values():
            if not isinstance(item, np.ndarray):
                found.update(classes_of(item))
    return found


def with_prefix(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays under names behind a prefix."""
    return {prefix + name: array for name, array in arrays.items()}
