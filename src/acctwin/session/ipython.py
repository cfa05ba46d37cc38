"""A session in IPython: the user's names, and a prompt that says where he is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import IPython
import numpy as np
from bluesky.magics import BlueskyMagics
from IPython.terminal.prompts import Prompts
from pygments.token import Token
from traitlets.config import Config

from acctwin import plans
from acctwin.session.session import Session

#: Folder of a site with what is run when IPython starts, in alphabetic order.
STARTUP = "profiles/ipython"


class Later:
    """Stands for an object that takes its time, until it is used.

    Args:
        get: Returns the object.
    """

    def __init__(self, get: Callable[[], Any]) -> None:
        self._get = get

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)  # IPython's own questions need no server
        return getattr(self._get(), name)

    def __getitem__(self, key: Any) -> Any:
        return self._get()[key]

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call the object."""
        return self._get()(*args, **options)

    def __len__(self) -> int:
        return len(self._get())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._get())

    def __repr__(self) -> str:
        return repr(self._get())


def names(session: Session) -> dict[str, Any]:
    """Return what a user finds: the session and its parts, all plans, numpy."""
    return {
        "session": session,
        "machine": session.machine,
        "RE": session.RE,
        "catalog": Later(lambda: session.catalog),
        "db": Later(lambda: session.db),
        "plans": plans,
        "np": np,
        **{name: getattr(plans, name) for name in plans.__all__},
    }


class ModePrompt(Prompts):
    """A prompt such as ``thomx physics [1]:``; hardware stands out."""

    def in_prompt_tokens(self) -> list[tuple[Any, str]]:
        """Return what is in front of what the user types."""
        session = self.shell.user_ns["session"]
        where = Token.Prompt if session.mode == "physics" else Token.Generic.Error
        return [
            (Token.Prompt, f"{session.profile.name} "),
            (where, session.mode),
            (Token.Prompt, " ["),
            (Token.PromptNum, str(self.shell.execution_count)),
            (Token.Prompt, "]: "),
        ]


def banner(session: Session) -> str:
    """Return what is printed at the start."""
    profile = session.profile
    return (
        f"{profile.description or profile.name}: {session.mode}\n"
        "session, machine, RE, catalog, db and all plans are here, e.g.\n"
        "  orbit = session.run(measure_orbit(machine))\n"
        "  session.switch_to_hardware()\n"
    )


def load_ipython_extension(shell: Any) -> None:
    """Give IPython Bluesky's magics, such as ``%mov``; called by IPython."""
    shell.register_magics(BlueskyMagics)


def start(session: Session, site: Path, *, simple: bool = False) -> None:
    """Talk to the user until he leaves.

    Args:
        session: An open session.
        site: Its site; the files of its ``profiles/ipython/`` are run first, with
            the user's names.
        simple: A plain prompt, for programs that type.
    """
    config = Config()
    shell = config.TerminalInteractiveShell
    shell.prompts_class = ModePrompt
    shell.simple_prompt = simple
    shell.confirm_exit = shell.enable_tip = False
    shell.banner1, shell.banner2 = banner(session), ""
    files = sorted((site / STARTUP).glob("*.py"))
    config.InteractiveShellApp.exec_files = [str(path) for path in files]
    config.InteractiveShellApp.extensions = [__name__]
    IPython.start_ipython(argv=[], user_ns=names(session), config=config)
