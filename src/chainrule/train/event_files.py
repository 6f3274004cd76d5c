"""TensorBoard's event files: scalars by step, encoded here, without TensorBoard or protobuf.

An event file is a sequence of records, each
    length (8 bytes, little-endian), masked CRC of the length (4), data, masked CRC of the data (4)
where the data are a protobuf message `Event`:
    wall_time = 1 (double)  step = 2 (int64)  file_version = 3 (string)  summary = 5 (Summary)
    session_log = 7 (SessionLog: status = 1, START is 1)
    Summary: value = 1, repeated (Value: tag = 1 (string), simple_value = 2 (float))

Source    TensorFlow, core/lib/io/record_writer.h, core/util/event.proto, core/framework/
          summary.proto; the CRC is Castagnoli's, RFC 3720 appendix B.4; the mask is that of
          core/lib/hash/crc32c.h; protobuf's wire format, protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

_VARINT, _EIGHT_BYTES, _DELIMITED, _FOUR_BYTES = 0, 1, 2, 5  # protobuf's wire types
_START = 1


def crc32c(data: bytes) -> int:
    """The CRC-32C (Castagnoli) of some bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    rotated = ((crc >> 15) | (crc << 17)) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    """One record of an event file."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def beginning(time: float, step: int = 0) -> bytes:
    """The records that an event file begins with: its version, and that a session starts.

    A TensorBoard that watches drops what it has read of this step and later ones.
    """
    version = _event(time, 0, _field(3, b"brain.Event:2"))
    start = _event(time, step, _field(7, _key(1, _VARINT) + _varint(_START)))
    return record(version) + record(start)


def scalars(time: float, step: int, values: Mapping[str, float]) -> bytes:
    """The record of the values, by their tags, at a step. They are stored as float32.

    `time` is in seconds since 1970.
    """
    summary = b"".join(_field(1, _value(tag, value)) for tag, value in values.items())
    return record(_event(time, step, _field(5, summary)))


def _value(tag: str, value: float) -> bytes:
    try:
        number = struct.pack("<f", value)
    except OverflowError:  # larger than float32 holds
        number = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    return _field(1, tag.encode()) + _key(2, _FOUR_BYTES) + number


def _event(time: float, step: int, what: bytes) -> bytes:
    wall_time = _key(1, _EIGHT_BYTES) + struct.pack("<d", time)
    return wall_time + _key(2, _VARINT) + _varint(step) + what


def _field(number: int, content: bytes) -> bytes:
    return _key(number, _DELIMITED) + _varint(len(content)) + content


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    """A whole number from 0, seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
