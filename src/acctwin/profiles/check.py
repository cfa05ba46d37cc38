"""From a YAML document to a checked schema, or to faults with their places."""

from __future__ import annotations

import copy
import typing
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from acctwin.errors import Fault, did_you_mean
from acctwin.profiles.document import Document, Way
from acctwin.profiles.schema import ProfileFile

NO_NUMBER = ("float_parsing", "float_type", "int_parsing", "int_type", "finite_number")


def check_document(document: Document) -> tuple[ProfileFile | None, list[Fault]]:
    """Check a document against the schema.

    Returns:
        The checked file, without the sections that have faults; None if it is of
        no use then; and all faults.
    """
    try:
        return ProfileFile.model_validate(document.data), []
    except ValidationError as error:
        details = error.errors()
    return _good_part(document, details), [_fault(document, d) for d in details]


def _good_part(document: Document, wrong: list[ErrorDetails]) -> ProfileFile | None:
    """Return the file without what is wrong, so that the rest can be checked on."""
    if () in [details["loc"] for details in wrong]:
        return None
    data: dict[str, Any] = copy.deepcopy(document.data)
    for details in wrong:
        way = details["loc"]
        if details["type"] != "extra_forbidden":
            data.pop(str(way[0]), None)
    for details in wrong:
        if details["type"] == "extra_forbidden":
            _drop(data, details["loc"])
    data.setdefault("beam", {"current_ma": "0"})
    try:
        return ProfileFile.model_validate(data)
    except ValidationError:
        return None


def _drop(section: Any, way: Way) -> None:
    """Delete a key, if the sections above it are still there."""
    for step in way[:-1]:
        if isinstance(section, dict) and step not in section:
            return
        section = cast("Any", section[step])
    del section[way[-1]]


def _fault(document: Document, details: ErrorDetails) -> Fault:
    way: Way = details["loc"]
    kind = details["type"]
    if kind == "extra_forbidden":
        return document.fault(way, _unknown(way), at_key=True)
    if kind == "missing":
        section = _section(way[:-1])
        meaning = section.model_fields[str(way[-1])].description if section else ""
        return document.fault(way, f"missing key {way[-1]!r}: {meaning}")
    return document.fault(way, _bad_value(way, kind, details))


def _unknown(way: Way) -> str:
    section = _section(way[:-1])
    known = list(section.model_fields) if section else []
    hint = did_you_mean(str(way[-1]), known) or f"; known are {', '.join(known)}"
    return f"unknown key {way[-1]!r}{hint}"


def _bad_value(way: Way, kind: str, details: ErrorDetails) -> str:
    key = next((step for step in reversed(way) if isinstance(step, str)), "file")
    found: Any = details["input"]
    if found is None:
        return f"{key}: there is no value"
    if kind in NO_NUMBER:
        return f"{key}: bad number {found!r}; write a finite number such as 2.5e-4"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        section = _section(way)
        known = ", ".join(section.model_fields) if section else "keys"
        return f"{key}: expected a section with {known}, found {_brief(found)}"
    wanted = details["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{key}: {wanted}, found {_brief(found)}"


def _brief(found: Any) -> str:
    if isinstance(found, dict):
        return "a section"
    if isinstance(found, list):
        return "a list"
    return repr(found)


def _section(way: Way) -> type[BaseModel] | None:
    """Return the part of the schema that a way leads to."""
    section: type[BaseModel] | None = ProfileFile
    steps = iter(way)
    for step in steps:
        if section is None or isinstance(step, int):
            continue
        known = section.model_fields.get(step)
        section = _model_in(known.annotation) if known else None
        is_named = known is not None and typing.get_origin(known.annotation) is dict
        if is_named and next(steps, None) is None:
            return None  # the way leads to the names, and not to one of them
    return section


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as ``Rf | None`` or ``list[Rf]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in typing.get_args(annotation))
    return next((model for model in inner if model is not None), None)
