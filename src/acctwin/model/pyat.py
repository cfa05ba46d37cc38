"""pyAT's objects, as a type checker may see them.

pyAT attaches most methods to its classes when it is imported, so their declared
types lack what everybody uses.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Lattice: TypeAlias = Any  #: ``at.Lattice``: a list of elements, with physics.
Element: TypeAlias = Any  #: ``at.Element``.
