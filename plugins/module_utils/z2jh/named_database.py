"""A database that nothing of ours can dump: an administrator says what there is of it, and restores it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..databases import urls
from ..errors import HubError
from ..shapes import to_dict
from .cluster import Access, Helm
from .hub_database import Copy, DatabaseBackup, Evidence, HubDatabase
from .release import Database, without_password
from .server_database import MIGRATING, password
from .server_programs import program_of
from .values import Values, get, merged


class NamedDatabase(HubDatabase):
    """It is never copied, and put back by a person, for whom the guard waits with the hub at 0 pods.

    A hub whose database is on a server does not start on a schema of another version, and does not migrate
    it unless it is told to: where the person forgets it, the old hub refuses it.
    """

    file = "database.json"

    def __init__(self, access: Access, release: str, hub: str, evidence: Evidence) -> None:
        super().__init__(access, release, hub)
        self.evidence = evidence

    def back_up(self, found: Database, hub: dict[str, Any], identity: str) -> DatabaseBackup:
        if not found.url:
            raise HubError(
                f"The hub's database is {found.kind}, and the release's values do not say where it is: the "
                "new hub could not be verified.",
                "Set hub.db.url, with hub.db.type: other for kinds that the chart does not know.",
            )
        content = self._content()
        return DatabaseBackup(
            claim="",
            database="",
            folder="",
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            schema="",
            began=time.time(),
            url=found.url,
            evidence=self.evidence,
        )

    def _content(self) -> bytes:
        return json.dumps(to_dict(self.evidence)).encode()

    def content(self, backup: DatabaseBackup) -> bytes:
        return self._content()

    def remove(self, backup: DatabaseBackup) -> None:
        return

    def restoring(self, backup: DatabaseBackup, hub: dict[str, Any], name: str) -> list[dict[str, Any]]:
        return []

    def by_hand(self) -> str:
        return (
            f"The hub is at 0 pods until its database is restored by hand: {self.evidence.what}, of "
            f"{self.evidence.when}. {self.evidence.restore}"
        )

    def copy(self, found: Database, name: str, folder: str) -> Copy:
        raise HubError(
            f"The hub's database is {found.kind}: nothing of ours can copy it.",
            "Try the migration on a copy that you restore elsewhere.",
        )

    def pods_in_the_way(self) -> list[str]:
        return []

    def require_kept(
        self,
        backup: DatabaseBackup,
        supplied: Values,
        wanted: Sequence[dict[str, Any]],
        old: Sequence[dict[str, Any]],
    ) -> None:
        if without_password(get(supplied, "hub.db.url", "") or "") != backup.url:
            raise HubError(
                f"With these values the hub's database is not {backup.url or 'the one of before'}.",
                "Keep hub.db.type and hub.db.url as they are in this upgrade.",
            )

    def seal(self, backup: DatabaseBackup, require: Callable[[], None], show: Callable[[str], None]) -> None:
        return

    def upgrades(self, supplied: Values, migrates: bool) -> list[Values]:
        if not migrates or get(supplied, "hub.db.upgrade") is True:
            return [supplied]
        return [merged(supplied, MIGRATING), supplied]

    def url(self, backup: DatabaseBackup | None) -> str:
        values = Helm(self.access).values(self.release, everything=True)
        given = get(values, "hub.db.url", "") or ""
        program = program_of(given)
        parts = urls.parse(given)
        known = password(self.kubectl, values, program.password_variable if program else "")
        return urls.of_server((program.of_hub(parts) if program else parts)._replace(password=known), "")

    def describe(self, backup: DatabaseBackup) -> dict[str, Any] | None:
        return None
