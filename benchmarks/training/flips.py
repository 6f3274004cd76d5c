"""Every bit of every file of a small checkpoint, and of a small model, flipped: all are noticed.

    python -m benchmarks.training.flips     writes benchmarks/results/flips.md
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.training.mutations import ABOUT
from benchmarks.training.zoo import ZOO
from chainrule import errors
from chainrule.train import checkpoints, files, load_model, save_model

ARRAYS = {"model/weight": np.arange(6, dtype=np.float32), "optimizer/count": np.array(3),
          "rng/state": np.arange(4, dtype=np.uint64)}  # fmt: skip
FACTS = {"epoch": 3, "history": [{"loss": 0.25, "seconds": 1.5}], "stopped": None}


def flips(folder: Path, refuses) -> list[tuple[str, int, int]]:
    """(file, bytes, flips) of each file in a folder; each flip of one bit, and of all 8 of a byte.

    **Errors** `AssertionError` for a flip with which `refuses(file's name)` is false.
    """
    found = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        count = 0
        for at in range(len(content)):
            for mask in (1, 2, 4, 8, 16, 32, 64, 128, 255):
                path.write_bytes(content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :])
                assert refuses(path.name), f"{path.name}: byte {at} by {mask} was not noticed"
                count += 1
        path.write_bytes(content)
        found.append((path.name, len(content), count))
    return found


def of_a_checkpoint(place: Path) -> list[tuple[str, int, int]]:
    """Flips of the newer of two checkpoints: the older one is used, and the file is named."""
    checkpoints.save(place, 1, ARRAYS, FACTS)
    newest = checkpoints.save(place, 2, ARRAYS, FACTS)

    def refuses(name: str) -> bool:
        seen: list[str] = []
        found = checkpoints.latest(place, lambda path, reason: seen.append(reason))
        assert found is not None
        return found.step == 1 and len(seen) == 1 and name in seen[0]

    found = flips(newest, refuses)
    last = checkpoints.latest(place)
    assert last is not None and last.step == 2
    return found


def of_a_model(place: Path) -> list[tuple[str, int, int]]:
    """Flips of a model's files: it is not loaded, and the file is named."""
    save_model(ZOO["several"](), place / "model", ABOUT)

    def refuses(name: str) -> bool:
        try:
            load_model(place / "model")
        except errors.FileDamaged as error:
            return name in str(error)
        return False

    return flips(place / "model", refuses)


def main() -> None:
    """Run the proof and write its result."""
    rows = []
    for title, proof in (("checkpoint", of_a_checkpoint), ("model", of_a_model)):
        with tempfile.TemporaryDirectory() as place:
            rows += [f"| {title} | {name} | {size:,} | {count:,} | {count:,} |"
                     for name, size, count in proof(Path(place))]  # fmt: skip
    text = "\n".join([
        "# Flipped bits", "",
        "`python -m benchmarks.training.flips`: each bit of each file alone, and all 8 bits of each"
        " byte.", "With each, the checkpoint before is used, or the model is refused; the message"
        " names the file.", "",
        "| folder | file | bytes | flips | noticed |", "|---|---|---|---|---|", *rows, "",
    ])  # fmt: skip
    files.write("benchmarks/results/flips.md", text)
    print(text)


if __name__ == "__main__":
    main()
