"""Frames: a document with its length and checksum, exactly as it was.

Length and CRC-32 of the payload (two little-endian 32-bit words), then the
payload, which is ``[name, document]`` in msgpack with numpy arrays as they are in
memory.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import msgpack
import msgpack_numpy

Document = tuple[str, dict[str, Any]]
HEADER = struct.Struct("<II")
"""Length and checksum."""


def decode(payload: bytes) -> Document:
    """Return name and document of a frame's payload."""
    name, doc = msgpack.unpackb(
        payload, object_hook=msgpack_numpy.decode, strict_map_key=False
    )
    return name, doc


def encode_frame(name: str, doc: dict[str, Any]) -> bytes:
    """Return the frame of a document."""
    payload = msgpack.packb([name, doc], default=_encode)
    assert isinstance(payload, bytes)  # noqa: S101  (None only with autoreset off)
    return HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def _encode(value: Any) -> Any:
    """Encode numpy values; refuse object arrays, which would be pickled."""
    if getattr(getattr(value, "dtype", None), "hasobject", False):
        raise TypeError(f"an array of Python objects, {value!r:.80}, has no data type")
    encoded = msgpack_numpy.encode(value)
    if encoded is value:
        raise TypeError(
            f"{type(value).__name__} {value!r:.80} is not a document value; "
            "use numbers, text, lists, mappings or numpy arrays"
        )
    return encoded


def count_frames(path: Path) -> int:
    """Return how many whole frames a file has, 0 if it is gone; reads none."""
    try:
        size = path.stat().st_size
        file = path.open("rb")
    except FileNotFoundError:
        return 0
    count = end = 0
    with file:
        while len(header := file.read(HEADER.size)) == HEADER.size:
            length, _ = HEADER.unpack(header)
            end += HEADER.size + length
            if length == 0 or end > size:
                break
            count += 1
            file.seek(end)
    return count
