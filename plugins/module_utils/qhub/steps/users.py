"""Users and groups in Keycloak, counted against the file that `qhub upgrade` has made."""

from __future__ import annotations

from pathlib import Path

from ...errors import HubError
from ...planning.findings.finding import listing
from ...system import files
from .base import Result, Step, Work
from .upgrade_config import read_import


class ImportUsers(Step):
    """Asks Keycloak for each user of the file. Those who have no password yet are listed."""

    name = "import_users"
    title = "Import users and groups into Keycloak"
    only_with_keycloak = True

    def require(self, work: Work) -> None:
        if not work.site.keycloak_url:
            raise HubError(
                "It is not said where the new site's Keycloak is.",
                f"Name it: qhub_keycloak_url: https://{work.record.domain}/auth.",
            )
        _wanted(work)
        work.keycloak().users()

    def carry_out(self, work: Work) -> Result:
        wanted, present = _imported(work)
        groups = {str(user["username"]): set(_texts(user["groups"])) for user in wanted["users"]}
        found = work.keycloak().groups_and_password({name: present[name] for name in groups})
        wrong = sorted(name for name in groups if not groups[name] <= found[name][0])
        if wrong:
            raise HubError(
                f"{len(wrong)} users are not in all of their groups in Keycloak: {listing(wrong)}.",
                "Run the playbook qhub_users, which adds them.",
            )
        return Result(
            {
                "users": str(len(groups)),
                "groups": ", ".join(sorted(set().union(*groups.values()))),
                "without_password": ", ".join(sorted(name for name in groups if not found[name][1])),
                "others_in_keycloak": ", ".join(sorted(set(present) - set(groups))),
            }
        )


def imported_users(work: Work) -> int:
    """The number of users of the file, who are all in Keycloak. Raises HubError with those who are not."""
    return len(_imported(work)[0]["users"])


def _wanted(work: Work) -> dict[str, list[dict[str, object]]]:
    """The content of the file. Raises HubError where it is another one than `qhub upgrade` has made."""
    known = work.record.evidence("upgrade_config")
    path = Path(known["import"])
    wanted = read_import(path)
    if files.sha256(path) != known["import_sha256"]:
        raise HubError(
            f"{path} is not as `qhub upgrade` has made it.",
            f"Restore it from {work.kept / 'upgraded' / path.name}.",
        )
    return wanted


def _imported(work: Work) -> tuple[dict[str, list[dict[str, object]]], dict[str, str]]:
    """The content of the file, and Keycloak's users; all of the file are there."""
    wanted = _wanted(work)
    present = work.keycloak().users()
    missing = sorted({str(user["username"]) for user in wanted["users"]} - set(present))
    if missing:
        raise HubError(
            f"{len(missing)} of {len(wanted['users'])} users are not in Keycloak: {listing(missing)}.",
            "Run the playbook qhub_users, which imports them.",
        )
    return wanted, present


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
