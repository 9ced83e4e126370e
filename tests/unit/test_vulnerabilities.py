"""The audit of packages, against a stand-in of PyPI's JSON API."""

from __future__ import annotations

import socket
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.vulnerabilities import audited

from tests.vulnerability_service import IN_PY, IN_REQUESTS, serving

OLD = {"jupyterhub": "4.1.6", "requests": "2.30.0", "py": "1.11.0", "site-lib": "1.0"}
NEW = {**OLD, "jupyterhub": "6.1.1", "requests": "2.31.0"}
KNOWN: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("jupyterhub", "4.1.6"): [],
    ("jupyterhub", "6.1.1"): [],
    ("requests", "2.30.0"): IN_REQUESTS,
    ("requests", "2.31.0"): [],
    ("py", "1.11.0"): IN_PY,
}


def staged(before: dict[str, str], after: dict[str, str], strategy: str = "copy") -> dict[str, Any]:
    return {"strategy": strategy, "packages_before": before, "packages_after": after}


def test_what_the_upgrade_closes_and_what_it_leaves_open() -> None:
    with serving(KNOWN) as service:
        [found] = audited([staged(OLD, NEW)], service)
    assert (found.id, found.severity) == ("packages-audited", "note")
    assert found.found == (
        f"4 packages looked up at {service}. Vulnerable: py 1.11.0 (PYSEC-2022-42969, not fixed). "
        "The upgrade closes requests (CVE-2023-32681). Not known there: site-lib."
    )


def test_what_is_vulnerable_before_and_after_is_open_once() -> None:
    with serving(KNOWN) as service:
        [found] = audited([staged(OLD, {**NEW, "requests": "2.30.0"})], service)
    assert "requests 2.30.0 (CVE-2023-32681, fixed in 2.31.0)" in found.found
    assert "closes" not in found.found


def test_packages_without_a_known_vulnerability() -> None:
    with serving({}, every=True) as service:
        [found] = audited([staged(OLD, NEW)], service)
    assert found.found == f"4 packages looked up at {service}. None has a known vulnerability."


def test_an_index_that_does_not_answer_as_pypi_does() -> None:
    with serving({}) as service:
        [found] = audited([staged(OLD, NEW)], service)
    assert (found.id, found.severity) == ("packages-not-audited", "note")
    assert found.found == (
        f"The packages were not compared with known vulnerabilities: {service} has none of them."
    )


def test_a_service_that_cannot_be_reached_is_named_without_its_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        [found] = audited([staged(OLD, NEW)], f"http://ada:secret@127.0.0.1:{port}")
    assert found.id == "packages-not-audited"
    assert f"http://***@127.0.0.1:{port} cannot be reached: " in found.found
    assert "secret" not in found.found


def test_what_only_migrates_or_is_not_known_yet_is_not_looked_up() -> None:
    intermediate, in_place = staged({}, OLD, "intermediate"), staged(OLD, OLD, "in_place")
    with serving(KNOWN) as service:
        assert audited([intermediate, in_place], service) == []
        [found] = audited([intermediate, staged({}, {"jupyterhub": "6.1.1"})], service)
    assert found.found == f"1 package looked up at {service}. None has a known vulnerability."
