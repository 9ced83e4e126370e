from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.advisories import ADVISORIES, open_in


@pytest.mark.parametrize(
    ("version", "open_"),
    [
        ("3.1.1", True),
        ("4.1.5", True),
        ("4.1.6", False),
        ("4.1.7", False),
        ("5.0.0", True),
        ("5.1.0b1", True),
        ("5.1.0", False),
        ("6.0.0", False),
        ("4.1.5+site.2", True),
        ("unknown", False),
    ],
)
def test_a_fix_counts_for_its_major(version: str, open_: bool) -> None:
    found = {advisory.id for advisory in open_in({"jupyterhub": version})}
    assert ("CVE-2024-41942" in found) is open_


def test_the_newest_releases_have_none() -> None:
    packages = {"jupyterhub": "6.1.1", "oauthenticator": "17.4.0", "jupyterhub-ltiauthenticator": "1.6.3"}
    assert open_in(packages) == []
    assert {advisory.package for advisory in ADVISORIES} == set(packages)
