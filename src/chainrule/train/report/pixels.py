"""A small picture of numbers as a PNG inside the page.

The format is that of the W3C's PNG specification: a signature, then chunks of a length, a name,
their bytes and a CRC; IDAT holds the rows, a filter byte of 0 before each, compressed by zlib.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from chainrule.train.report.html import Html, element

LOW, HIGH = np.array([247, 247, 247]), np.array([178, 24, 43])  # of 0, and of the largest


def heat(values: np.ndarray, title: str) -> Html:
    """Numbers (H, W), from white at 0 (and below) to red at the largest."""
    most = float(values.max())
    share = np.clip(values / most, 0, 1)[..., None] if most > 0 else np.zeros((*values.shape, 1))
    colours = np.round(LOW + (HIGH - LOW) * share).astype(np.uint8)
    address = "data:image/png;base64," + base64.b64encode(png(colours)).decode("ascii")
    picture = element("img", src=address, alt=title, class_="pixels")
    return element("figure", element("figcaption", title), picture)


def png(colours: np.ndarray) -> bytes:
    """The bytes of a PNG file. **Shapes** colours uint8 (H, W, 3).

    >>> png(np.zeros((1, 1, 3), np.uint8))[1:4]
    b'PNG'
    """
    height, width, _ = colours.shape
    rows = b"".join(b"\0" + row.tobytes() for row in colours)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, red green blue
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [_chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b"")]
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(
        ">I", zlib.crc32(name + content)
    )  # fmt: skip
