"""Who works on the demonstration hub, and what they have there before the upgrade."""

from __future__ import annotations

from hub import Hub

PEOPLE = (
    "ada", "alan", "barbara", "claude", "dennis", "donald",
    "edsger", "frances", "grace", "hedy", "katherine", "margaret",
)  # fmt: skip
GROUPS = {"analysts": PEOPLE[:7], "teachers": PEOPLE[5:]}


def bring_people_in(hub: Hub) -> dict[str, str]:
    """Groups, and an API token for each user of the config; returns the tokens by user."""
    for group, members in GROUPS.items():
        hub.call("POST", f"/hub/api/groups/{group}")
        hub.call("POST", f"/hub/api/groups/{group}/users", {"users": list(members)})
    return {
        person: hub.call("POST", f"/hub/api/users/{person}/tokens", {"note": "nightly job"})["token"]
        for person in PEOPLE
    }
