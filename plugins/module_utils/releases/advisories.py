"""Security advisories of JupyterHub and of packages that go with it: one row each, newest last.

Sources: https://github.com/jupyterhub/jupyterhub/security/advisories and those of the other packages, and the
CVE records of these numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import HubError
from .versions import parse_release


@dataclass(frozen=True)
class Advisory:
    """A vulnerability, and the releases that are the first without it: one, or one for each major."""

    id: str
    package: str
    fixed_in: tuple[str, ...]

    def concerns(self, version: str) -> bool:
        """Whether a release is older than the fix for its major, or than every fix.

        What is no release number, as that of a site's own build, is not known to be.
        """
        try:
            release = parse_release(version)
        except HubError:
            return False
        fixes = [parse_release(each) for each in self.fixed_in]
        of_its_major = [fix for fix in fixes if fix.major == release.major]
        return release < (of_its_major[0] if of_its_major else max(fixes))


ADVISORIES = (
    Advisory("CVE-2024-28233", "jupyterhub", ("4.1.0",)),
    Advisory("CVE-2024-41942", "jupyterhub", ("4.1.6", "5.1.0")),
    Advisory("CVE-2026-33709", "jupyterhub", ("5.4.4",)),
    Advisory("CVE-2026-40864", "jupyterhub", ("5.4.5",)),
    Advisory("CVE-2026-54338", "jupyterhub", ("5.5.0",)),
    Advisory("GHSA-c4gm-pwx9-9w8j", "jupyterhub", ("5.5.1",)),
    Advisory("GHSA-69wv-m5fw-2fhp", "jupyterhub", ("5.5.1",)),
    Advisory("CVE-2026-33175", "oauthenticator", ("17.4.0",)),
    Advisory("CVE-2026-34052", "jupyterhub-ltiauthenticator", ("1.6.3",)),
)


def open_in(packages: dict[str, str]) -> list[Advisory]:
    """The advisories that concern the versions of packages, by normalised name."""
    return [each for each in ADVISORIES if each.package in packages and each.concerns(packages[each.package])]
