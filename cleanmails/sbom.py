"""`cleanmails sbom`: what this installation is made of, as CycloneDX 1.6 JSON, out of the metadata that stands beside each installed package.

`--licences` prints a line a package instead. Whether a version has a known weakness only a database of them can say, and none is shipped: hand the file to a scanner
that has one (`trivy sbom`, `grype`, `osv-scanner`), where the network is.
"""

import argparse
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Final

from cleanmails import __version__

_SPDX: Final[Mapping[str, str]] = {
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "gnu lesser general public license v3 or later (lgplv3+)": "LGPL-3.0-or-later",
    "isc license (iscl)": "ISC",
    "lgpl with exceptions": "LGPL-3.0-only",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "zlib/libpng license": "Zlib",
}
"""Older packages say their licence in other words than SPDX's."""

_BY_HAND: Final[Mapping[str, str]] = {"imapclient": "BSD-3-Clause"}
"""Packages that say it nowhere but in the text of their licence."""

_EXPRESSION: Final = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+()-]+)*")


def main(argv: Sequence[str]) -> int:
    """Prints the bill of materials, or the licences."""
    parser = argparse.ArgumentParser(prog="cleanmails sbom", description=__doc__)
    parser.add_argument("--licences", action="store_true", help="a line a package: name, version, licence")
    if parser.parse_args(argv).licences:
        for each in components():
            print(f"{each['name']:<32} {each['version']:<16} {licence_of(each)}")
    else:
        print(json.dumps(bill(), indent=2, ensure_ascii=False))
    return 0


def bill(now: datetime | None = None) -> dict[str, Any]:
    """The whole of it: https://cyclonedx.org/docs/1.6/json/."""
    found = list(components())
    refs = {each["name"]: each["bom-ref"] for each in found}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
            "component": {"type": "application", "bom-ref": "cleanmails", "name": "cleanmails", "version": __version__},
        },
        "components": found,
        "dependencies": [
            {"ref": "cleanmails", "dependsOn": sorted(refs.values())},
            *(
                {"ref": refs[name], "dependsOn": sorted(refs[each] for each in needs(name) if each in refs)}
                for name in sorted(refs)
            ),
        ],
    }


def components() -> Iterator[dict[str, Any]]:
    """Every installed package by name, each once, in order."""
    known = {_plain(each.name): each for each in metadata.distributions() if each.name}
    for name in sorted(known.keys() - {"cleanmails"}):
        found = known[name]
        licence = _licence(found.metadata.get_all("Classifier") or [], found.metadata)
        if licence is None and name in _BY_HAND:
            licence = {"expression": _BY_HAND[name]}
        yield {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{found.version}",
            "name": name,
            "version": found.version,
            "purl": f"pkg:pypi/{name}@{found.version}",
            **({"licenses": [licence]} if licence else {}),
        }


def needs(name: str) -> set[str]:
    """What a package asks for itself, without extras."""
    wanted = metadata.distribution(name).requires or []
    return {_plain(re.split(r"[^A-Za-z0-9._-]", each, maxsplit=1)[0]) for each in wanted if "extra ==" not in each}


def licence_of(component: Mapping[str, Any]) -> str:
    """The licence in a word, or `unknown`."""
    (licence,) = component.get("licenses", [{}])
    return str(licence.get("expression") or licence.get("license", {}).get("name") or "unknown")


def _licence(classifiers: Sequence[str], fields: Any) -> dict[str, Any] | None:  # noqa: ANN401 - a message of `email`, or a mapping
    """A licence as an SPDX expression where the package says one, else by its own words."""
    own = [
        each.rpartition(" :: ")[2]
        for each in classifiers
        if each.startswith("License :: ") and each != "License :: OSI Approved"
    ]
    said = fields.get("License-Expression") or (fields.get("License") or "").partition("\n")[0]
    words = [said, *own] if len(said) < 100 else own  # some put the whole text there
    for word in filter(None, words):
        spdx = _SPDX.get(word.lower(), word)
        if _EXPRESSION.fullmatch(spdx):
            return {"expression": spdx}
    return {"license": {"name": words[0]}} if words and words[0] else None


def _plain(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
