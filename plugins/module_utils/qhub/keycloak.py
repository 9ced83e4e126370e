"""Keycloak's admin API: the users of a realm, and the administrator's own password."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from ..errors import HubError

#: Seconds for one request.
TIMEOUT = 30
#: What of a user is exported besides name and groups.
PERSONAL = ("email", "firstName", "lastName", "attributes")
#: Users who are asked for with one token.
SAME_TOKEN = 20
#: Users in one answer.
PAGE = 100


@dataclass(frozen=True)
class Keycloak:
    """A server, and its administrator of the realm ``master``."""

    url: str
    """With ``/auth`` where it has that."""
    user: str
    password: str = field(repr=False)
    realm: str = "qhub"
    validate_certs: bool = True

    def users(self) -> dict[str, str]:
        """The ids of the realm's users, by their names. Raises HubError where it cannot be asked."""
        token = self._token()
        found: dict[str, str] = {}
        while True:
            page = self._get(
                f"{self._realm}/users?first={len(found)}&max={PAGE}&briefRepresentation=true", token
            )
            found.update({user["username"]: user["id"] for user in page})
            if len(page) < PAGE:
                return found

    def groups_and_password(self, users: dict[str, str]) -> dict[str, tuple[set[str], bool]]:
        """The groups of each user, and whether it has a password."""
        found = {}
        for name, number in users.items():
            token = self._token()
            groups = {group["name"] for group in self._get(f"{self._realm}/users/{number}/groups", token)}
            credentials = self._get(f"{self._realm}/users/{number}/credentials", token)
            found[name] = (groups, any(each["type"] == "password" for each in credentials))
        return found

    def people(self) -> list[dict[str, Any]]:
        """The users of the realm as another Keycloak can import them, without credentials."""
        found = []
        users = self._all(f"{self._realm}/users?briefRepresentation=false", self._token())
        for number, user in enumerate(users):
            # A token is good for a minute.
            if number % SAME_TOKEN == 0:
                token = self._token()
            groups = self._all(f"{self._realm}/users/{user['id']}/groups?briefRepresentation=true", token)
            kept = {key: user[key] for key in PERSONAL if user.get(key)}
            paths = sorted(group["path"] for group in groups)
            found.append({"username": user["username"], "enabled": user["enabled"], **kept, "groups": paths})
        return sorted(found, key=lambda user: str(user["username"]))

    def groups(self) -> list[dict[str, Any]]:
        """The groups of the realm with those within them, by their paths."""
        token = self._token()
        found, todo = [], self._all(f"{self._realm}/groups?briefRepresentation=false", token)
        while todo:
            group = todo.pop()
            found.append({key: group[key] for key in ("name", "path", "attributes") if group.get(key)})
            inner = group.get("subGroups") or []
            # Newer ones only say how many there are.
            if group.get("subGroupCount") and not inner:
                inner = self._all(
                    f"{self._realm}/groups/{group['id']}/children?briefRepresentation=false", token
                )
            todo += inner
        return sorted(found, key=lambda group: str(group["path"]))

    def _all(self, path: str, token: str) -> list[dict[str, Any]]:
        """All pages of an answer."""
        found: list[dict[str, Any]] = []
        while True:
            page = self._get(f"{path}&first={len(found)}&max={PAGE}", token)
            found += page
            if len(page) < PAGE:
                return found

    def lets_in(self) -> bool:
        """Whether the password is the administrator's. Raises HubError where that cannot be asked."""
        try:
            self._token()
        except HubError as error:
            if isinstance(error.__cause__, urllib.error.HTTPError) and error.__cause__.code in (400, 401):
                return False
            raise
        return True

    def change_own_password(self, new: str) -> None:
        """Give the administrator another password. Raises HubError where the present one does not let in."""
        token = self._token()
        user = urllib.parse.quote(self.user)
        [found] = self._get(f"master/users?username={user}&exact=true", token)
        body = json.dumps({"type": "password", "value": new, "temporary": False}).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        path = f"/admin/realms/master/users/{found['id']}/reset-password"
        try:
            self._ask(self.url.rstrip("/") + path, body, headers, "PUT")
        except HubError as error:
            if isinstance(error.__cause__, urllib.error.HTTPError) and error.__cause__.code == 400:
                raise HubError(
                    "Keycloak does not take the new password for its administrator.",
                    "Look at the password policy of the realm master; change the password there, and name "
                    "it: qhub_keycloak_password.",
                ) from error
            raise

    @property
    def _realm(self) -> str:
        return urllib.parse.quote(self.realm)

    def _token(self) -> str:
        form = {"client_id": "admin-cli", "grant_type": "password"}
        body = urllib.parse.urlencode({**form, "username": self.user, "password": self.password}).encode()
        answer = self._ask(f"{self.url.rstrip('/')}/realms/master/protocol/openid-connect/token", body, {})
        return str(answer["access_token"])

    def _get(self, path: str, token: str) -> Any:
        url = f"{self.url.rstrip('/')}/admin/realms/{path}"
        return self._ask(url, None, {"Authorization": f"Bearer {token}"})

    def _ask(self, url: str, body: bytes | None, headers: dict[str, str], method: str | None = None) -> Any:
        request = urllib.request.Request(url, body, headers, method=method)
        context = ssl.create_default_context()
        if not self.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code in (400, 401, 403):
                raise HubError(
                    f"Keycloak at {self.url} does not let {self.user} in (status {error.code}).",
                    "Name the password that its root has now: qhub_keycloak_password.",
                ) from error
            raise HubError(
                f"Keycloak at {self.url} has answered {error.code} for the realm {self.realm}.",
                "Look whether the new site is deployed, and has that realm: qhub_keycloak_realm.",
            ) from error
        except (OSError, ValueError) as error:
            raise HubError(
                f"Keycloak at {self.url} cannot be reached: {getattr(error, 'reason', error)}.",
                "Look whether the new site is deployed, and its address: qhub_keycloak_url.",
            ) from error
