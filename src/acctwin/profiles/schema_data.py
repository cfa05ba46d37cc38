"""What a profile may say about where runs are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from acctwin.profiles.profile import DataStore
from acctwin.profiles.section import Number, Section


class DataSection(Section):
    """Where runs are kept."""

    catalog: str = Field(
        default=DataStore.catalog,
        min_length=1,
        description="local, temporary, a folder, or the URL of a Tiled server",
    )
    waiting_mb: Annotated[Number, Field(gt=0)] = Field(
        default=DataStore.waiting_bytes / 1e6,
        description="what may wait for Tiled before runs are stopped [MB]",
    )

    @field_validator("catalog")
    @classmethod
    def _is_place(cls, catalog: str) -> str:
        if "api_key" in catalog:
            raise ValueError(
                "a key does not belong in a profile: leave it out and set the "
                "environment variable TILED_API_KEY"
            )
        is_url = catalog.startswith(("http://", "https://"))
        is_folder = Path(catalog).expanduser().is_absolute()
        if catalog in {"local", "temporary"} or is_url or is_folder:
            return catalog
        raise ValueError("give local, temporary, an absolute folder, or a URL")


def to_data(section: DataSection) -> DataStore:
    """Return where runs are kept."""
    return DataStore(section.catalog, round(section.waiting_mb * 1e6))
