"""What Keycloak says of the users of a realm, by its admin API. Nothing is changed."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from ..errors import HubError

#: Seconds for one request.
TIMEOUT = 30
#: Users in one answer.
PAGE = 100


@dataclass(frozen=True)
class Keycloak:
    """A server, and its administrator of the realm ``master``."""

    url: str
    """With ``/auth`` where it has that."""
    user: str
    password: str
    realm: str = "qhub"

    def users(self) -> dict[str, str]:
        """The ids of the realm's users, by their names. Raises HubError where it cannot be asked."""
        token = self._token()
        found: dict[str, str] = {}
        while True:
            page = self._get(f"users?first={len(found)}&max={PAGE}&briefRepresentation=true", token)
            found.update({user["username"]: user["id"] for user in page})
            if len(page) < PAGE:
                return found

    def groups_and_password(self, users: dict[str, str]) -> dict[str, tuple[set[str], bool]]:
        """The groups of each user, and whether it has a password."""
        found = {}
        for name, number in users.items():
            token = self._token()
            groups = {group["name"] for group in self._get(f"users/{number}/groups", token)}
            credentials = self._get(f"users/{number}/credentials", token)
            found[name] = (groups, any(each["type"] == "password" for each in credentials))
        return found

    def _token(self) -> str:
        form = {"client_id": "admin-cli", "grant_type": "password"}
        body = urllib.parse.urlencode({**form, "username": self.user, "password": self.password}).encode()
        answer = self._ask(f"{self.url.rstrip('/')}/realms/master/protocol/openid-connect/token", body, {})
        return str(answer["access_token"])

    def _get(self, path: str, token: str) -> Any:
        url = f"{self.url.rstrip('/')}/admin/realms/{urllib.parse.quote(self.realm)}/{path}"
        return self._ask(url, None, {"Authorization": f"Bearer {token}"})

    def _ask(self, url: str, body: bytes | None, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(url, body, headers)
        try:
            with urllib.request.build_opener().open(request, timeout=TIMEOUT) as answer:
                return json.load(answer)
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
