"""Known vulnerabilities of packages, asked by the controller: the host of a hub often has no network.

The service is PyPI, or one that answers as PyPI does: ``GET <service>/<name>/<version>/json`` has a list
``vulnerabilities`` (https://docs.pypi.org/api/json/), of the database that pip-audit reads as well.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import time
import urllib.error
from collections.abc import Collection, Iterable
from typing import Any, Dict, List, NamedTuple, Optional
from urllib.parse import quote

from ansible.module_utils.urls import ConnectionError as UrlError
from ansible.module_utils.urls import open_url
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    without_credentials,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import (
    IN_PLACE,
    INTERMEDIATE,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.audit import (
    PACKAGES_AUDITED,
    PACKAGES_NOT_AUDITED,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import (
    Finding,
    listing,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.report import count

#: The one that is asked unless another one is named.
SERVICE = "https://pypi.org/pypi"
#: For one answer, and for all of them.
ANSWER_SECONDS, ALL_SECONDS = 5.0, 30.0
AT_ONCE = 8
#: Ids by which advisories are known, best first.
_FAMILIES = ("CVE-", "GHSA-")


class Package(NamedTuple):
    """A release of a package."""

    name: str
    version: str


class Vulnerability(NamedTuple):
    """One of a package's; whichever of its ids is known best."""

    package: str
    id: str


#: By package; those of one that the service does not have are None. With the releases that have the fix.
Known = Dict[Package, Optional[Dict[Vulnerability, List[str]]]]


def audited(staged: Iterable[dict[str, Any]], service: str) -> list[Finding]:
    """What is known of the packages of new environments, as their staging has returned them.

    Left out are those that are upgraded in place, whose packages are not known yet, and intermediate
    versions, which only migrate.
    """
    environments = [each for each in staged if each["strategy"] not in (INTERMEDIATE, IN_PLACE)]
    after = _packages(environments, "packages_after")
    before = _packages(environments, "packages_before")
    if not after:
        return []
    try:
        known = ask({*after, *before}, service)
    except HubError as error:
        why = f"The packages were not compared with known vulnerabilities: {error.message}"
        return [PACKAGES_NOT_AUDITED.found(why)]
    return [PACKAGES_AUDITED.found(_result(before, after, known, without_credentials(service)))]


def _result(before: Collection[Package], after: Collection[Package], known: Known, service: str) -> str:
    parts = [f"{count(len(after), 'package')} looked up at {service}."]
    still_open = [_described(package, known[package]) for package in sorted(after) if known[package]]
    parts.append(f"Vulnerable: {'; '.join(still_open)}." if still_open else "None has a known vulnerability.")
    remaining = {each for package in after for each in known[package] or {}}
    closed = {each for package in before for each in known[package] or {} if each not in remaining}
    if closed:
        names = [f"{each.package} ({each.id})" for each in sorted(closed)]
        parts.append(f"The upgrade closes {', '.join(names)}.")
    unknown = [package.name for package in sorted(after) if known[package] is None]
    if unknown:
        parts.append(f"Not known there: {listing(unknown)}.")
    return " ".join(parts)


def ask(packages: Collection[Package], service: str) -> Known:
    """What the service knows of packages. Raises HubError where it does not answer as PyPI does."""
    until = time.monotonic() + ALL_SECONDS
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        asked = {package: pool.submit(_ask, package, service, until) for package in packages}
        try:
            known = {package: each.result() for package, each in asked.items()}
        except HubError:
            for each in asked.values():
                each.cancel()
            raise
    if known and all(found is None for found in known.values()):
        raise HubError(f"{without_credentials(service)} has none of them.")
    return known


def _packages(environments: Iterable[dict[str, Any]], which: str) -> set[Package]:
    return {Package(name, version) for each in environments for name, version in each[which].items()}


def _ask(package: Package, service: str, until: float) -> dict[Vulnerability, list[str]] | None:
    url = f"{service.rstrip('/')}/{quote(package.name)}/{quote(package.version)}/json"
    shown = without_credentials(service)
    seconds = min(ANSWER_SECONDS, until - time.monotonic())
    if seconds <= 0:
        raise HubError(f"{shown} has not answered within {ALL_SECONDS:.0f} s.")
    try:
        with open_url(url, timeout=seconds) as response:
            listed = json.load(response)["vulnerabilities"]
    except urllib.error.HTTPError as error:
        if error.code == http.client.NOT_FOUND:
            return None
        raise HubError(f"{shown} answers with {error.code} {error.reason}.") from error
    except (OSError, http.client.HTTPException, UrlError) as error:
        raise HubError(f"{shown} cannot be reached: {getattr(error, 'reason', error)}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise HubError(f"{shown} answers with something else than PyPI does.") from error
    found: dict[Vulnerability, list[str]] = {}
    for each in listed:
        if not each.get("withdrawn"):
            # Two databases may have the same one.
            fixed_in = found.setdefault(Vulnerability(package.name, _id(each)), [])
            fixed_in += [version for version in each.get("fixed_in") or () if version not in fixed_in]
    return found


def _id(vulnerability: dict[str, Any]) -> str:
    ids = [vulnerability["id"], *(vulnerability.get("aliases") or ())]
    best = (each for family in _FAMILIES for each in ids if each.startswith(family))
    return str(next(best, ids[0]))


def _described(package: Package, found: dict[Vulnerability, list[str]] | None) -> str:
    """``requests 2.30.0 (CVE-2023-32681, fixed in 2.31.0)``."""
    ids = [
        f"{each.id}, fixed in {' and '.join(fixed_in)}" if fixed_in else f"{each.id}, not fixed"
        for each, fixed_in in (found or {}).items()
    ]
    return f"{package.name} {package.version} ({'; '.join(ids)})"
