"""What an installation is made of: every package, with its version, its licence and what it needs."""

import json
from importlib import metadata
from pathlib import Path

import pytest

from cleanmails import sbom

REQUIREMENTS = Path(__file__).parents[1] / "requirements" / "run.txt"
ALLOWED = ("MIT", "BSD", "Apache", "ISC", "PSF", "LGPL", "MPL", "ZPL", "Unlicense", "0BSD", "Zlib", "PostgreSQL")


@pytest.fixture(scope="module")
def bill():
    return sbom.bill()


def pinned():
    lines = [
        line.split("==", 1)
        for line in REQUIREMENTS.read_text().splitlines()
        if "==" in line and not line.startswith(" ") and ";" not in line
    ]
    return {name.strip().lower().replace("_", "-"): rest.split()[0].rstrip(";") for name, rest in lines}


@pytest.mark.asvs("15.1.2")
def test_every_package_that_is_pinned_is_in_it_with_its_version(bill):
    found = {each["name"]: each["version"] for each in bill["components"]}
    assert {name: found.get(name) for name in pinned()} == pinned()


def test_its_shape_is_that_of_the_standard(bill):
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    refs = [each["bom-ref"] for each in bill["components"]]
    assert len(refs) == len(set(refs))
    for each in bill["dependencies"]:
        assert set(each["dependsOn"]) <= {*refs, "cleanmails"}
    for each in bill["components"]:
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"


def test_dependencies_are_those_that_packages_ask_for(bill):
    asked = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    version = metadata.version("anyio")
    assert any(ref.startswith("pkg:pypi/idna@") for ref in asked[f"pkg:pypi/anyio@{version}"])


def test_nothing_that_runs_has_a_licence_that_binds_us(bill):
    """Ours is Apache 2.0: everything in requirements/run.txt may be handed on with it."""
    strange = {
        each["name"]: sbom.licence_of(each)
        for each in bill["components"]
        if each["name"] in pinned() and not any(word in sbom.licence_of(each) for word in ALLOWED)
    }
    assert strange == {}


def test_the_command_prints_json_and_licences(capsys):
    assert sbom.main([]) == 0
    assert json.loads(capsys.readouterr().out)["components"]
    assert sbom.main(["--licences"]) == 0
    assert "msgspec" in capsys.readouterr().out
