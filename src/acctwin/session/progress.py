"""A progress bar for every run that says how many events it will have."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

#: Shorter runs are over before a bar could be read.
LEAST_POINTS = 20


class ProgressBar:
    """A document callback: one bar a run, gone when the run is.

    Args:
        console: Where it is drawn; default: the terminal's error stream.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._primary: set[str] = set()

    def __call__(self, name: str, document: dict[str, Any]) -> None:
        """Follow one document."""
        match name:
            case "start":
                self._begin(document)
            case "descriptor" if document["name"] == "primary":
                self._primary.add(document["uid"])
            case "event" if document["descriptor"] in self._primary:
                self._advance(1)
            case "event_page" if document["descriptor"] in self._primary:
                self._advance(len(document["seq_num"]))
            case "stop":
                self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()
        self._progress, self._task = None, None
        self._primary.clear()

    def _begin(self, start: dict[str, Any]) -> None:
        self.close()
        points = start.get("num_points") or 0
        if points < LEAST_POINTS or not self._console.is_terminal:
            return
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task(start["plan_name"], total=points)
        self._progress.start()

    def _advance(self, events: int) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, events)
