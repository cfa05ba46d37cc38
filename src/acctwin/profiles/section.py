"""What a section of a profile's YAML file is made of: strict keys, honest numbers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _no_bool(value: Any) -> Any:
    """Refuse yes and no where a number belongs; pydantic would read 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("write a number")
    return value


Number = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]
Spread = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=-1, le=1)]
Waveform = Annotated[tuple[Fraction, ...], Field(min_length=1)]
Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=1)]
Whole = Annotated[int, BeforeValidator(_no_bool), Field(ge=0)]


class Section(BaseModel):
    """A section of the file: nothing but the keys that are described."""

    model_config = ConfigDict(extra="forbid", frozen=True)
