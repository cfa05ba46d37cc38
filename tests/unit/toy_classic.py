"""Classic ophyd classes, as a beamline has them, without a control system."""

from __future__ import annotations

from typing import Any

from ophyd import Component, Device, Signal
from ophyd.positioner import SoftPositioner
from ophyd.status import Status
from ophyd.utils import DisconnectedError


class Slit(Device):
    """A device that only has signals: what is set is told by the profile."""

    gap = Component(Signal, value=1.0)
    measured = Component(Signal, value=1.0)
    title = Component(Signal, value="a slit")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gap.subscribe(lambda value, **_: self.measured.put(value))


class Clamping(Signal):
    """A signal that takes no more than 2, and does not say so."""

    def set(self, value: float, **_: Any) -> Status:
        self.put(min(value, 2.0))
        done = Status(self)
        done.set_finished()
        return done


class Refusing(Signal):
    """A signal that takes nothing."""

    def put(self, value: float, **options: Any) -> None:
        if getattr(self, "is_ready", False):
            raise ValueError("interlock")
        super().put(value, **options)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.is_ready = True


class Stuck(SoftPositioner):
    """A positioner whose moves never end."""

    def _setup_move(self, position: float, status: Any) -> None:
        if self._position is None:
            super()._setup_move(position, status)


class Away(Signal):
    """A signal whose IOC is away."""

    is_away = True

    @property
    def connected(self) -> bool:
        return not self.is_away

    def get(self, **options: Any) -> Any:
        if self.is_away:
            raise DisconnectedError(self.name)
        return super().get(**options)


class Counter(Device):
    """A detector: a reading has to be triggered."""

    counts = Component(Signal, value=0.0)
    is_broken = False

    def trigger(self) -> Status:
        done = Status(self)
        if self.is_broken:
            done.set_exception(RuntimeError("no gate"))
            return done
        self.counts.put(self.counts.get() + 1.0)
        done.set_finished()
        return done
