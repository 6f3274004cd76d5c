"""A trained model as a folder of two files, which hold data and never code.

    model.safetensors   the arrays by path, parameters and state
    model.json          format, version, `model` (what `nn.build` takes), `arrays` (path -> shape
                        and dtype), `about` (task, labels, preparation, ...), sha256 of the other
                        file, and a checksum of itself

Loading builds only classes that `nn.BUILDERS` names, without drawing their weights, and asks for
no more memory than the file has bytes for, whatever its header claims.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.nn.builders import build, described
from chainrule.nn.init import blank
from chainrule.nn.module import Module
from chainrule.train import files, json_text, tensors

FORMAT = "chainrule model"
VERSION = 1
ARRAYS, DESCRIPTION = "model.safetensors", "model.json"

_LARGEST_DESCRIPTION = 256 << 20  # bytes
_ALWAYS_ALLOWED = 1 << 16  # a size that any model may have, however few numbers its file holds


def save_model(
    model: Module, folder: str | os.PathLike, about: Mapping[str, Any] | None = None
) -> None:
    """Write a model to a folder, which is replaced as a whole where it stands already.

    `about` is what else belongs to the model and fits into JSON: the task, the labels, how inputs
    are prepared.

    **Errors** `NotSupported` for classes that `nn.BUILDERS` does not name, `FileNotWritten`;
    `FileExistsError` for a folder that holds other things than a model.

    >>> import tempfile
    >>> from chainrule import nn
    >>> with tempfile.TemporaryDirectory() as place:
    ...     save_model(nn.MLP(4, (8,), 3, rng=0), f"{place}/model", {"task": "classification"})
    ...     model, about = load_model(f"{place}/model")
    >>> model, about
    (MLP(Linear(4, 8), Activation('relu'), Linear(8, 3)), {'task': 'classification'})
    """
    folder = Path(folder)
    arrays = dict(_arrays(model))
    content = tensors.to_bytes(arrays)
    description = {
        "format": FORMAT, "version": VERSION, "model": described(model),
        "arrays": {path: [list(a.shape), a.dtype.name] for path, a in arrays.items()},
        "about": dict(about or {}), "sha256": {ARRAYS: files.sha256(content)},
    }  # fmt: skip
    sealed = json_text.sealed(description)
    _check_replaceable(folder)
    files.make_folder(folder.parent)
    with files.new_folder(folder) as new:
        files.write(new / ARRAYS, content)
        files.write(new / DESCRIPTION, sealed)


def _arrays(model: Module) -> list[tuple[str, np.ndarray]]:
    return [*model.named_parameters(), *model.named_state()]


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    others = set(os.listdir(folder)) - {ARRAYS, DESCRIPTION} if folder.is_dir() else {folder.name}
    if others:
        raise FileExistsError(
            f"{folder} holds other things than a model ({', '.join(sorted(others)[:4])}), which "
            "saving one there would remove. Give a new folder."
        )


def load_model(folder: str | os.PathLike) -> tuple[Module, dict[str, Any]]:
    """The model of a folder, and what was saved about it. No code of the files is run.

    **Errors** `FileDamaged`, which names the file and the array, for anything that is not what
    `save_model` wrote: other versions, kinds, dtypes, sizes and shapes.
    """
    description, content = read_model_files(folder)
    where = Path(folder) / ARRAYS
    stored = tensors.header(content, where)
    model = _built(description["model"], stored, Path(folder) / DESCRIPTION)
    _check_arrays(model, stored, where)
    places = dict(_arrays(model))
    for path, array in tensors.from_bytes(content, where).items():
        places[path][...] = array
    return model, description["about"]


def read_model_files(folder: str | os.PathLike) -> tuple[dict[str, Any], bytes]:
    """What model.json says, and the bytes of model.safetensors, checksums verified."""
    folder = files.standing(folder)
    where = folder / DESCRIPTION
    description = json_text.unsealed(files.read(where, _LARGEST_DESCRIPTION), where)
    if description.get("format") != FORMAT:
        raise errors.FileDamaged(
            f"{where} is of the format {description.get('format')!r}, not {FORMAT!r}."
        )
    if description.get("version") != VERSION:
        raise errors.FileDamaged(
            f"{where} is of version {description.get('version')!r}, and this chainrule reads "
            f"version {VERSION}. Install the version of chainrule that wrote it."
        )
    for key, kind in {"model": dict, "arrays": dict, "about": dict, "sha256": dict}.items():
        if not isinstance(description.get(key), kind):
            raise errors.FileDamaged(f"{where} has no {key!r}.")
    content = files.read(folder / ARRAYS)
    if files.sha256(content) != description["sha256"].get(ARRAYS):
        raise errors.FileDamaged(
            f"{folder / ARRAYS} is not the file that was written with {DESCRIPTION}: its SHA-256 "
            "differs. It was changed, cut or damaged."
        )
    stored = tensors.header(content, folder / ARRAYS)
    listed = {path: [list(shape), dtype.name] for path, (shape, dtype) in stored.items()}
    if listed != description["arrays"]:
        raise errors.FileDamaged(f"{where} lists other arrays than {ARRAYS} holds.")
    return description, content


def _built(description: Any, stored: Mapping[str, tuple], where: Path) -> Module:
    count = sum(math.prod(shape) for shape, _ in stored.values())
    _check_sizes(description, max(count, _ALWAYS_ALLOWED), where)
    try:
        with blank(count):
            return build(description)
    except (errors.ChainruleError, ValueError, MemoryError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise errors.FileDamaged(f"{where} describes no model: {reason}") from error


def _check_sizes(value: Any, largest: int, where: Path) -> None:
    """No number of a description is larger than all arrays together, so none asks for memory."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inside in value:
            _check_sizes(inside, largest, where)
    elif type(value) is int and abs(value) > largest:
        raise errors.FileDamaged(
            f"{where} asks for a size of {value}, and the file holds {largest:,} numbers at most."
        )


def _check_arrays(model: Module, stored: Mapping[str, tuple], where: Path) -> None:
    wanted = dict(_arrays(model))
    for path in [*wanted, *stored]:
        if path not in stored or path not in wanted:
            state = "is missing" if path in wanted else "belongs to no layer of the model"
            raise errors.FileDamaged(f"{where}: the array {path!r} {state}.")
        shape, dtype = stored[path]
        if wanted[path].shape != shape:
            raise errors.FileDamaged(
                f"{where}: {path!r} has shape {shape}; the model needs {wanted[path].shape}."
            )
        if wanted[path].dtype != dtype:
            raise errors.FileDamaged(
                f"{where}: {path!r} is {dtype}; the model needs {wanted[path].dtype}."
            )
