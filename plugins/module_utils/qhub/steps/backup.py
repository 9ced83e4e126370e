"""The backups of users' data and of the hub's database, named by the administrator and read here."""

from __future__ import annotations

from .. import backups
from .base import Result, Step, Work


class BackUp(Step):
    """Reads both backups to their ends, and notes their checksums: all later steps compare with them."""

    name = "back_up"
    title = "Back up users' data and the hub's database"
    only_redeployed = False

    def carry_out(self, work: Work) -> Result:
        return Result(evidence(backups.verify_all(work.site)))

    def undone(self, work: Work, evidence: dict[str, str]) -> str:
        named = {"user_data": work.site.user_data, "hub_database": work.site.hub_database}
        other = [name for name, backup in named.items() if backup and backup.path != evidence.get(name)]
        return f"another backup is named: {', '.join(other)}" if other else ""


def evidence(verified: dict[str, backups.Verified]) -> dict[str, str]:
    """The backups as the record has them."""
    found = {}
    for name, backup in verified.items():
        found[name] = backup.path
        found[f"{name}_sha256"] = backup.sha256
        found[f"{name}_content"] = backup.content
    return found
