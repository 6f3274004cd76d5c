"""Object code in memory, by the text of its module: the latest of it, up to so many bytes.

For processes without a cache on disk. Programs share kernels, a derivative in one direction with
that in the other above all: of the modules of the gradients of two networks, half were the same.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable


class Latest:
    """What `of` has made, until it is `limit` bytes; what was asked for least recently goes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._codes: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, text: str, make: Callable[[str], bytes]) -> bytes:
        """The object code of a text: kept, or made. Threads make different ones side by side."""
        key = hashlib.sha256(text.encode()).digest()
        with self._lock:
            found = self._codes.get(key)
            if found is not None:
                self._codes.move_to_end(key)
                return found
        made = make(text)
        with self._lock:
            if key not in self._codes:
                self._codes[key] = made
                self._size += len(made)
            while self._size > self._limit:
                self._size -= len(self._codes.popitem(last=False)[1])
        return made

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._codes.clear()
            self._size = 0
