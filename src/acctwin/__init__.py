"""acctwin: a digital twin and middle layer for particle accelerators.

``acctwin.open_session("ebs")`` is where everything begins. It is imported when it
is asked for, so that the engine's and the data service's processes, which need
only a part of the package, start without Bluesky.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acctwin.session.open import open_session
    from acctwin.session.session import Session

__version__ = version("acctwin")
__all__ = ["Session", "__version__", "open_session"]


def __getattr__(name: str) -> Any:
    if name == "open_session":
        from acctwin.session.open import open_session

        return open_session
    if name == "Session":
        from acctwin.session.session import Session

        return Session
    raise AttributeError(f"module 'acctwin' has no attribute {name!r}")
