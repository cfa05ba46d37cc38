"""Reading a set-up of the Matlab Middle Layer: the structures AO and AD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from acctwin.errors import ConfigError, Fault
from acctwin.profiles.files import shown
from acctwin.profiles.mml.values import plain, text, texts

#: Where a set-up keeps its lattice, if it has one.
THERING = "THERING"


@dataclass(frozen=True)
class MmlFamily:
    """One family of the AO.

    Attributes:
        name: ``FamilyName``.
        values: What the family says of itself; a field (``Setpoint``) is a mapping.
    """

    name: str
    values: Mapping[str, Any]

    def field(self, name: str) -> Mapping[str, Any]:
        """Return a field; empty if there is none."""
        found = self.values.get(name)
        return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}

    @property
    def tags(self) -> frozenset[str]:
        """Its name, its AT type and what it is a member of, in capitals."""
        at_type = text(self.field("AT").get("ATType"))
        words = [self.name, at_type, *texts(self.values.get("MemberOf"))]
        return frozenset(word.upper() for word in words if word)


@dataclass(frozen=True)
class MmlSetup:
    """What a .mat file holds.

    Attributes:
        path: The file.
        families: Of the AO, in its order.
        ad: Globals of the machine.
        has_lattice: Whether the file has ``THERING``.
    """

    path: Path
    families: tuple[MmlFamily, ...]
    ad: Mapping[str, Any]
    has_lattice: bool


def read_mml(path: Path) -> MmlSetup:
    """Read the AO and the AD of a .mat file.

    Raises:
        ConfigError: There is no such file, it is not one that can be read, or it has
            no AO.
    """
    found, names = load_variables(path, ("AO", "AD")), _names(path)
    families = _families(found.get("AO"))
    if not families:
        raise _fault(
            path,
            f"no variable 'AO' with families; the file has {', '.join(names)}. In "
            f"Matlab: AO = getao; AD = getad; save('{path.name}', 'AO', 'AD', '-v7')",
        )
    ad = _struct(found.get("AD")) or {}
    return MmlSetup(path, tuple(families), ad, THERING in names)


def lattice_key(path: Path) -> str | None:
    """Return the variable of a .mat file that holds the lattice; None: the only one."""
    return THERING if path.suffix == ".mat" and THERING in _names(path) else None


def ring_parameters(path: Path, key: str | None) -> list[int]:
    """Return which entries of a .mat lattice are no elements, from 0.

    Matlab counts the entry ``RingParam``, which pyAT takes out.
    """
    if path.suffix != ".mat":
        return []
    names = [key] if key else _names(path)
    found = load_variables(path, names if len(names) == 1 else ["RING"])
    entries = [_struct(entry) for value in found.values() for entry in _items(value)]
    return [
        i
        for i, entry in enumerate(entries)
        if entry and text(entry.get("Class")) == "RingParam"
    ]


def _families(ao: Any) -> list[MmlFamily]:
    """Return the families of an AO: a struct of them, or, in old ones, a list."""
    named = (_struct(ao) or {}).items()
    pairs = named if named else [("", item) for item in _items(ao)]
    found = [(key, _struct(value)) for key, value in pairs]
    return [
        MmlFamily(text(values.get("FamilyName")) or key, values)
        for key, values in found
        if values
    ]


def _struct(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _items(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def load_variables(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return some variables of a .mat file as plain values."""
    import scipy.io as scipy_io  # type: ignore[reportMissingTypeStubs]

    if not path.is_file():
        raise _fault(path, "there is no such file")
    load = cast("Any", scipy_io).loadmat
    try:
        found: dict[str, Any] = load(path, variable_names=names)
    except NotImplementedError:
        message = "a Matlab 7.3 file; save it with the option '-v7'"
        raise _fault(path, message) from None
    except (ValueError, OSError, TypeError) as error:
        raise _fault(path, f"not a .mat file that can be read: {error}") from error
    return {name: plain(found[name]) for name in names if name in found}


def _names(path: Path) -> list[str]:
    """Return the variables of a .mat file that could be read."""
    import scipy.io as scipy_io  # type: ignore[reportMissingTypeStubs]

    found: list[tuple[str, Any, Any]] = cast("Any", scipy_io).whosmat(path)
    return [name for name, _, _ in found]


def _fault(path: Path, message: str) -> ConfigError:
    return ConfigError([Fault(shown(path), 1, 1, message)])
