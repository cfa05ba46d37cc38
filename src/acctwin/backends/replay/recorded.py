"""What a replay needs of a stored run; ``acctwin.data.Run`` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from acctwin.names import FloatArray


class RecordedStream(Protocol):
    """The events of one stream, a row each."""

    @property
    def names(self) -> tuple[str, ...]:
        """The data keys."""
        ...

    @property
    def time(self) -> FloatArray:
        """When each event was made [s since 1970], shape (n_events,)."""
        ...

    @property
    def timestamps(self) -> Mapping[str, FloatArray]:
        """Data key → when each value was read [s], shape (n_events,)."""
        ...

    def __getitem__(self, key: str) -> NDArray[Any]:
        """Return the array of a data key, shape (n_events, …)."""
        ...

    def config(self, key: str) -> Any:
        """Return a configuration value, such as the names behind an array."""
        ...


class RecordedRun(Protocol):
    """A run in memory."""

    @property
    def uid(self) -> str:
        """Its identity."""
        ...

    @property
    def start(self) -> Mapping[str, Any]:
        """The start document."""
        ...

    @property
    def streams(self) -> Mapping[str, RecordedStream]:
        """Name → stream."""
        ...
