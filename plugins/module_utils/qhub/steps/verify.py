"""The new site as a person meets it: the way to its log-in, its hub, and the users whom it knows."""

from __future__ import annotations

import html
import re
import urllib.parse
from pathlib import Path

from ...errors import HubError
from ...planning.findings.finding import listing
from ..config import BROKERS
from ..versions import gets_keycloak
from ..web import Answer, Visitor, addresses
from .base import Result, Step, Work
from .restore import users_of
from .users import imported_users

#: Names of users in one answer of a hub.
PAGE = 200
#: Redirects of a log-in that are followed.
REDIRECTS = 5
LOOK = "Look at the new site's config, at its hub and at Keycloak, and run again."


class Verify(Step):
    """Follows the log-in redirect, asks the hub for its version, and counts users."""

    name = "verify"
    title = "Verify the new site as a person would"

    def carry_out(self, work: Work) -> Result:
        return Result(look(work))


def look(work: Work) -> dict[str, str]:
    """What shows that the new site works, found now. Raises HubError where it does not."""
    site, record = work.site, work.record
    visitor = Visitor(site.validate_certs)
    found = {
        "addresses": ", ".join(addresses(record.domain)),
        "jupyterhub": visitor.hub_version(record.domain),
    }
    if gets_keycloak(record.from_version, record.to_version):
        found["log_in"] = _log_in(work, visitor)
        found["users_in_keycloak"] = str(imported_users(work))
    elif set(addresses(record.domain)) & set(addresses(record.evidence("rename_old_site")["old_domain"])):
        raise HubError(
            f"{record.domain} resolves to an address of the old site.",
            f"Give {record.domain} the DNS record of the new site, and run again.",
        )
    found["users_in_hub"] = (
        str(_hub_users(work, visitor)) if site.hub_token else "not asked: no qhub_hub_token"
    )
    return found


def _log_in(work: Work, visitor: Visitor) -> str:
    """Where a person who logs in gets to. Raises HubError where that is not Keycloak's page."""
    domain = work.record.domain
    start = f"https://{domain}/hub/oauth_login?next=%2Fhub%2F"
    answer = visitor.get(f"https://{domain}/hub/login")
    if answer.status >= 400:
        raise HubError(f"{answer.url} has answered {answer.status}.", LOOK)
    answer = _until(visitor, start, f"/realms/{work.site.keycloak_realm}/protocol/openid-connect/auth")
    wanted = f"https://{domain}/hub/oauth_callback"
    _require_redirect_uri(answer.url, wanted)
    if answer.status not in (200, 302, 303):
        raise HubError(
            f"Keycloak has answered {answer.status} to the log-in of the hub, with redirect_uri {wanted}.",
            "Add that URL to the valid redirect URIs of the client jupyterhub in Keycloak, and run again.",
        )
    kind = work.config.authentication
    if kind not in BROKERS:
        return f"Keycloak's page, redirect_uri {wanted}"
    return _at_provider(work, visitor, answer, kind)


def _at_provider(work: Work, visitor: Visitor, answer: Answer, kind: str) -> str:
    """Behind Keycloak's page: GitHub's, or Auth0's, and the callback URL that it is told."""
    broker = f"/broker/{BROKERS[kind]}/login"
    links = [answer.location] if answer.location else re.findall(r'href="([^"]+)"', answer.text)
    known = [html.unescape(link) for link in links if broker in link]
    if not known:
        raise HubError(
            f"Keycloak's page of the log-in does not lead to {kind}.",
            f"Add {kind} as an identity provider of the realm {work.site.keycloak_realm}, and run again.",
        )
    answer = _until(visitor, urllib.parse.urljoin(answer.url, known[0]), "/authorize")
    wanted = (
        f"https://{work.record.domain}/auth/realms/{work.site.keycloak_realm}/broker/{BROKERS[kind]}/endpoint"
    )
    _require_redirect_uri(answer.url, wanted)
    if answer.status >= 400:
        raise HubError(
            f"{kind} has answered {answer.status} to the log-in, with redirect_uri {wanted}.",
            f"Add that URL to the callback URLs of the application at {kind}, and run again.",
        )
    return f"{kind}'s page behind Keycloak's, redirect_uri {wanted}"


def _until(visitor: Visitor, url: str, path: str) -> Answer:
    """Follow redirects to the page whose path ends so, and ask for it. Raises HubError where none does."""
    for _redirect in range(REDIRECTS):
        answer = visitor.get(url)
        if urllib.parse.urlsplit(url).path.endswith(path):
            return answer
        if not answer.location:
            break
        url = answer.location
    raise HubError(
        f"The log-in does not lead to {path}: {url.partition('?')[0]} has answered {answer.status}.", LOOK
    )


def _require_redirect_uri(url: str, wanted: str) -> None:
    found = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).get("redirect_uri", ["none"])[0]
    if found != wanted:
        raise HubError(
            f"The log-in has the redirect_uri {found} at {url.partition('?')[0]}, not {wanted}.",
            "Look at the domain in the new site's config, deploy it again, and run again.",
        )


def _hub_users(work: Work, visitor: Visitor) -> int:
    """The number of users of the hub, all of the backup's among them."""
    names: set[str] = set()
    while True:
        url = f"https://{work.record.domain}/hub/api/users?offset={len(names)}&limit={PAGE}"
        answer = visitor.get(url, {"Authorization": f"token {work.site.hub_token}"})
        if answer.status != 200 or not isinstance(answer.data, list):
            raise HubError(
                f"{url.partition('?')[0]} has answered {answer.status}.",
                "Make a token of an administrator of the new hub, and name it: qhub_hub_token.",
            )
        page = {str(user["name"]) for user in answer.data}
        if page <= names:
            break
        names |= page
    lost = sorted(users_of(Path(work.record.evidence("back_up")["hub_database"])) - names)
    if lost:
        raise HubError(
            f"{len(lost)} users of the backup are not in the new hub: {listing(lost)}.",
            "Restore its database as QHub's guide to manual backups says, and run again.",
        )
    return len(names)
