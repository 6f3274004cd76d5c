"""JSON as chainrule's files hold it: strict where it is read, and sealed by a checksum of its own.

A sealed file begins with the SHA-256 of what follows it in the same text, and its bytes are exactly
those that writing the parsed value again gives: no byte of it can change unseen.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any

from chainrule import errors
from chainrule.train import files


def json_bytes(value: Any, *, indent: int | None = 1) -> bytes:
    """JSON text and a newline: keys in the order given, tuples as lists.

    Non-finite numbers stand as Python writes them (NaN, Infinity); floats come back bit for bit.

    **Errors** `TypeError` for what JSON does not hold, and for keys that are not text (JSON would
    turn them into text, and not back), with the place.

    >>> json_bytes({"a": [1, 0.1]}, indent=None)
    b'{"a": [1, 0.1]}\\n'
    """
    _check(value, "")
    return json.dumps(value, indent=indent, ensure_ascii=True).encode("ascii") + b"\n"


def _check(value: Any, path: str) -> None:
    if isinstance(value, dict):
        for key, inside in value.items():
            if type(key) is not str:
                raise TypeError(f"a key in JSON is text, got {key!r} {_at(path)}. Write str(key).")
            _check(inside, f"{path}.{key}" if path else key)
    elif isinstance(value, list | tuple):
        for i, inside in enumerate(value):
            _check(inside, f"{path}[{i}]")
    elif value is not None and not isinstance(value, bool | int | float | str):
        raise TypeError(
            f"JSON holds numbers, text, lists and dicts; got {type(value).__name__} {_at(path)}. "
            f"Write float(x), int(x) or x.tolist()."
        )


def _at(path: str) -> str:
    return f"at {path}" if path else "at the top"


def readable(value: Any) -> Any:
    """The value with non-finite numbers as the text "nan", "inf", "-inf", which all readers take.

    >>> readable({"loss": [1.0, float("nan"), float("-inf")]})
    {'loss': [1.0, 'nan', '-inf']}
    """
    if isinstance(value, dict):
        return {key: readable(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [readable(inside) for inside in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    return value


def parsed(content: bytes, name: str | os.PathLike) -> Any:
    """What JSON text says.

    **Errors** `FileDamaged`, with the file's name, for what is not JSON, and for a key that stands
    twice in one object: readers differ in which of the two they take.
    """
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise errors.FileDamaged(f"{name} is not the JSON that was written: {reason}.") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the key {key!r} stands twice")
        made[key] = value
    return made


def sealed(value: dict[str, Any]) -> bytes:
    """JSON text of a dict with `checksum` as its first key, the SHA-256 of the text without it."""
    return json_bytes({"checksum": files.sha256(json_bytes(value)), **value})


def unsealed(content: bytes, name: str | os.PathLike) -> dict[str, Any]:
    """The dict that `sealed` wrote, without the checksum.

    **Errors** `FileDamaged` where any byte is another than the one written.

    >>> unsealed(sealed({"a": 1}), "note.json")
    {'a': 1}
    """
    value = parsed(content, name)
    if not isinstance(value, dict) or "checksum" not in value:
        raise errors.FileDamaged(f"{name} holds no checksum: it is cut, or of another kind.")
    without = {key: inside for key, inside in value.items() if key != "checksum"}
    if sealed(without) != content:
        raise errors.FileDamaged(
            f"{name} is not what was written: its checksum does not fit. It was changed or damaged."
        )
    return without
