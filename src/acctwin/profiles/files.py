"""Reading the user's files: text, or a fault that says what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acctwin.errors import Fault


@dataclass(frozen=True)
class Text:
    """A file that was read.

    Attributes:
        file: Its path for messages.
        content: The text; a byte order mark is dropped.
        raw: The bytes, for the hash.
    """

    file: str
    content: str
    raw: bytes


def shown(path: Path) -> str:
    """Return a path for messages: relative to the working folder if it is inside."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def read_text(path: Path) -> Text | Fault:
    """Read a UTF-8 file."""
    file = shown(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Fault(file, 1, 1, "there is no such file")
    except OSError as error:
        return Fault(file, 1, 1, f"cannot be read: {error.strerror}")
    try:
        return Text(file, raw.decode("utf-8-sig"), raw)
    except UnicodeDecodeError as error:
        return _not_utf8(file, raw, error)


def place(text: str, index: int) -> tuple[int, int]:
    """Return line and column, from 1, of a character of a text."""
    before = text[:index]
    return before.count("\n") + 1, index - before.rfind("\n")


def _not_utf8(file: str, raw: bytes, error: UnicodeDecodeError) -> Fault:
    start = len(error.object)
    good = raw[: len(raw) - start + error.start].decode("utf-8-sig")
    line, column = place(good, len(good))
    found = error.object[error.start]
    message = f"not UTF-8 text: found the byte 0x{found:02x}; save the file as UTF-8"
    return Fault(file, line, column, message)
