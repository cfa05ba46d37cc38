"""The reference page on profiles names every column and every key."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from acctwin.names import COMPONENT_UNITS
from acctwin.profiles.curve_rows import CURVE_COLUMNS, KINDS
from acctwin.profiles.families import FAMILY_COMPONENTS
from acctwin.profiles.feeds import FEED_COLUMNS, SCALE_COLUMN
from acctwin.profiles.rows import BPM_COLUMNS, MAGNET_COLUMNS
from acctwin.profiles.schema import ProfileFile
from acctwin.profiles.supply_rows import SUPPLY_COLUMNS

PAGE = Path(__file__).parents[2] / "docs/reference/profiles.md"


def models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from models(part)


def keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name} has no description"
        yield name
        for inner in models(field.annotation):
            yield from keys(inner)


WORDS = sorted(
    {*keys(ProfileFile), *BPM_COLUMNS, *MAGNET_COLUMNS, *COMPONENT_UNITS}
    | {unit for units in COMPONENT_UNITS.values() for unit in units}
    | set(FAMILY_COMPONENTS)
    | {*FEED_COLUMNS, SCALE_COLUMN, *SUPPLY_COLUMNS, *CURVE_COLUMNS, *KINDS}
)


@pytest.mark.parametrize("word", WORDS)
def test_the_page_has_every_word(word: str):
    assert f"`{word}`" in PAGE.read_text(encoding="utf-8")
