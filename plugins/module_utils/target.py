"""The release that is wanted, and what it needs."""

from __future__ import annotations

from typing import Any

from .errors import HubError
from .installer import InstallerOptions, target_facts
from .migration import head_revision, revisions
from .upgrade import Target


def find_target(deployment: dict[str, Any], version: str, options: InstallerOptions) -> Target:
    """The target as its own wheel describes it, or the hub's environment where it has that version already.

    An index that cannot be reached or does not have the version is no exception but the target's ``problem``,
    so that it can be told together with everything else. Raises HubError for a malformed version.
    """
    environment = deployment["hub_environment"]
    if environment["jupyterhub"] == version:
        return Target(
            version,
            schema_head=head_revision(environment["path"]),
            revisions=list(revisions(environment["path"])),
        )
    try:
        facts = target_facts(version, environment["python"], options)
    except HubError as error:
        return Target(version, problem=error.message, hint=error.hint)
    return Target(facts["version"], facts["requires_python"], facts["schema_head"], facts["revisions"])
