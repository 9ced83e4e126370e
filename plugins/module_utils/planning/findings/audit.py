"""The audit of all packages of the new environments, which the controller makes once they are staged."""

from __future__ import annotations

from .finding import NOTE, Kind

PACKAGES_AUDITED = Kind(
    "packages-audited",
    NOTE,
    "All packages of the new environments were looked up in PyPI's database of vulnerabilities.",
    "Who reads of one can use it.",
    "Name newer versions of those packages in jupyterhub_packages or jupyterhub_user_packages.",
)
PACKAGES_NOT_AUDITED = Kind(
    "packages-not-audited",
    NOTE,
    "The packages of the new environments could not be looked up in PyPI's database of vulnerabilities.",
    "Only the advisories that the collection knows were compared.",
    "Let the controller reach it, name another one in jupyterhub_audit_url, or have none asked: "
    "jupyterhub_audit: never.",
)
KINDS = (PACKAGES_AUDITED, PACKAGES_NOT_AUDITED)
