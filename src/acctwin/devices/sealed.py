"""Devices that refuse attributes they do not have."""

from __future__ import annotations

from typing import Any

from ophyd_async.core import Device


class Sealed(Device):
    """A device to which nothing new can be assigned once it is built.

    ``magnet.strenght = 5`` is an error and not a new attribute that nobody reads,
    and so is ``magnet.strength = 5``, which looks as if it set something.
    """

    _is_sealed = False

    def seal(self) -> None:
        """Refuse to assign what is not there from now on."""
        self._is_sealed = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_sealed and not name.startswith("_"):
            held = dict(self.children())
            if name in held and held[name] is not value:
                raise AttributeError(
                    f"{self.name}.{name} is a device and cannot be assigned; set it "
                    f"with session.set, with a plan, or with its own set()"
                )
            if not hasattr(self, name):
                has = ", ".join(held)
                raise AttributeError(f"{self.name} has no {name!r}; it has: {has}")
        super().__setattr__(name, value)
