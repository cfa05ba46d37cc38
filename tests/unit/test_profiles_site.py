"""Sites: which one is used, and what is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from acctwin.errors import ConfigError, UnknownName
from acctwin.profiles import find_site, load_profile, profile_names, profile_path
from acctwin.profiles.schema import BpmImperfections
from acctwin.profiles.schema_defaults import (
    CorrectionSection,
    OrbitSection,
    ResponseSection,
)


@pytest.fixture(autouse=True)
def no_site_in_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ACCTWIN_SITE", raising=False)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for folder in ("devices/lab", "profiles"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "profiles/lab.yaml").write_text(
        "machine: lab\nlattice: {source: 'code:fodo'}\nbeam: {current_ma: 1}\n"
    )
    (tmp_path / "devices/lab/magnets.csv").write_text(
        "name,families,element,component,unit,low,high,tolerance,delta,status\n"
    )
    (tmp_path / "devices/lab/bpms.csv").write_text("name,families,element,status\n")
    return tmp_path


def test_the_reference_machines_are_the_default():
    assert {"ebs", "fodo", "soleil", "thomx"} <= set(profile_names(find_site()))


def test_an_argument_goes_before_the_environment(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ACCTWIN_SITE", str(tmp_path / "other"))
    assert find_site(site) == site


def test_the_environment_is_read_at_each_call(
    site: Path, monkeypatch: pytest.MonkeyPatch
):
    default = find_site()
    monkeypatch.setenv("ACCTWIN_SITE", str(site))
    assert find_site() == site
    monkeypatch.setenv("ACCTWIN_SITE", "")
    assert find_site() == default


@pytest.mark.parametrize(("folder", "words"), [("none", "no such"), ("", "not a site")])
def test_a_folder_that_is_not_a_site(tmp_path: Path, folder: str, words: str):
    with pytest.raises(ConfigError, match=words):
        find_site(tmp_path / folder)


def test_a_profile_by_name_and_by_path(site: Path):
    path = site / "profiles/lab.yaml"
    assert profile_path("lab", site) == path
    assert profile_path(path, site) == path
    assert profile_path(str(path), site) == path


def test_a_profile_by_path_brings_its_own_site(site: Path):
    profile = load_profile(site / "profiles/lab.yaml")
    assert (profile.name, profile.magnets) == ("lab", ())


def test_a_path_that_does_not_exist(site: Path):
    with pytest.raises(UnknownName):
        profile_path(site / "profiles/lob.yaml", site)


def test_a_lattice_file_is_looked_for_beside_the_tables(site: Path):
    path = site / "profiles/lab.yaml"
    path.write_text(path.read_text().replace("code:fodo", "ring.mat"))
    lattice = site / "devices/lab/ring.mat"
    with pytest.raises(ConfigError, match="there is no lattice file"):
        load_profile("lab", site)
    lattice.touch()
    assert load_profile("lab", site).lattice.source == str(lattice.resolve())


def test_the_defaults_of_the_file_are_those_of_the_values(site: Path):
    profile = load_profile("lab", site)
    defaults = profile.defaults
    assert OrbitSection().model_dump() == vars(defaults.orbit)
    assert ResponseSection().model_dump() == vars(defaults.response)
    assert CorrectionSection().model_dump() == vars(defaults.correction)
    assert set(BpmImperfections().model_dump().values()) == {0.0}
