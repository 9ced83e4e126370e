"""Auth0: an application's callback URLs by the management API, and whether a log-in takes one."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from ..errors import HubError
from .web import TIMEOUT, Visitor


@dataclass(frozen=True)
class Auth0:
    """A tenant, and the machine-to-machine application that may read and update its clients."""

    domain: str
    client_id: str
    client_secret: str = field(repr=False)

    def callbacks(self, application: str) -> list[str]:
        """The callback URLs of an application. Raises HubError where they cannot be asked."""
        found = self._management("GET", f"clients/{urllib.parse.quote(application)}?fields=callbacks")
        return [str(url) for url in found.get("callbacks") or []]

    def set_callbacks(self, application: str, callbacks: list[str]) -> None:
        """Give an application these, and no others. Raises HubError where it has others afterwards."""
        self._management("PATCH", f"clients/{urllib.parse.quote(application)}", {"callbacks": callbacks})
        if sorted(self.callbacks(application)) != sorted(callbacks):
            raise HubError(
                f"The application {application} at {self.domain} has other callback URLs than it was given.",
                "Look at it in Auth0's own pages: somebody else may change it now. Then run again.",
            )

    def _management(self, method: str, path: str, body: Any = None) -> Any:
        audience = f"https://{self.domain}/api/v2/"
        grant = {"grant_type": "client_credentials", "audience": audience}
        known = {"client_id": self.client_id, "client_secret": self.client_secret}
        token = self._ask("POST", f"https://{self.domain}/oauth/token", {**grant, **known}, "")
        return self._ask(method, audience + path, body, str(token["access_token"]))

    def _ask(self, method: str, url: str, body: Any, token: str) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            url, None if body is None else json.dumps(body).encode(), headers, method=method
        )
        if token:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.build_opener().open(request, timeout=TIMEOUT) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise HubError(
                f"Auth0 at {self.domain} has answered {error.code} to {method} "
                f"{urllib.parse.urlsplit(url).path}.",
                "Name an application that is authorized for its management API with read:clients and "
                "update:clients: qhub_auth0_client_id, qhub_auth0_client_secret.",
            ) from error
        except (OSError, ValueError) as error:
            raise HubError(
                f"Auth0 at {self.domain} cannot be asked: {getattr(error, 'reason', error)}.",
                "Look at security.authentication.config.auth0_subdomain in the config, and at the network.",
            ) from error


def takes(visitor: Visitor, domain: str, application: str, callback: str) -> bool:
    """Whether a log-in of the application may lead back to that URL, as Auth0's own page says it."""
    query = {"response_type": "code", "client_id": application, "redirect_uri": callback, "scope": "openid"}
    return visitor.get(f"https://{domain}/authorize?{urllib.parse.urlencode(query)}").status < 400
