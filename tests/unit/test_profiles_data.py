"""A profile says where its runs go, and holds no key."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from acctwin.profiles.profile import DataStore
from acctwin.profiles.schema_data import DataSection, to_data


def test_runs_are_local_unless_the_profile_says_so():
    assert to_data(DataSection()) == DataStore("local", 10_000_000_000)


@pytest.mark.parametrize(
    "place", ["local", "temporary", "/data/runs", "~/runs", "https://tiled.example.org"]
)
def test_a_place_and_a_limit(place):
    section = DataSection.model_validate({"catalog": place, "waiting_mb": "2.5"})
    assert to_data(section) == DataStore(place, 2_500_000)


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        ({"catalog": "http://a:8000?api_key=secret"}, "a key does not belong"),
        ({"catalog": "runs"}, "an absolute folder"),
        ({"catalog": ""}, "at least 1 character"),
        ({"waiting_mb": 0}, "greater than 0"),
        ({"catalogue": "local"}, "Extra inputs"),
    ],
)
def test_a_fault(wrong, wanted):
    with pytest.raises(ValidationError, match=wanted):
        DataSection.model_validate(wrong)
