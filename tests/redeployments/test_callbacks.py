"""Callback URLs of an application at Auth0, for which a stand-in of its management API answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.redeployments.internet import TENANT, Asked, Names, Page, StandIn, as_json, served
from tests.redeployments.qhub_site import DOMAIN, OLD_DOMAIN
from tests.redeployments.restored_site import RestoredSite

NEW_URL = f"https://{DOMAIN}/auth/realms/qhub/broker/auth0/endpoint"
OLD_URL, RENAMED_URL = (f"https://{domain}/hub/oauth_callback" for domain in (DOMAIN, OLD_DOMAIN))
OTHER_URL = "https://elsewhere.example.org/callback"
ALLOWED: dict[str, Any] = {"auth0_client_id": "manager", "auth0_client_secret": "planted-manager"}


class Tenant:
    """The parts of Auth0 that are used, as its documentation describes them."""

    def __init__(self, stand_in: StandIn) -> None:
        self.callbacks = [OLD_URL, OTHER_URL]
        self.patched = 0
        client = "/api/v2/clients/hub-application"
        stand_in.pages = {"/oauth/token": self._token, client: self._client, "/authorize": self._authorize}

    def _token(self, asked: Asked) -> Page:
        wanted = {
            "grant_type": "client_credentials",
            "audience": f"https://{TENANT}/api/v2/",
            "client_id": "manager",
            "client_secret": "planted-manager",
        }
        return (
            as_json({"access_token": "planted-token"}) if json.loads(asked.body) == wanted else (401, [], b"")
        )

    def _client(self, asked: Asked) -> Page:
        if asked.headers.get("Authorization") != "Bearer planted-token":
            return 401, [], b""
        if asked.method == "PATCH":
            self.callbacks = json.loads(asked.body)["callbacks"]
            self.patched += 1
        return as_json({"callbacks": self.callbacks})

    def _authorize(self, asked: Asked) -> Page:
        known = asked.query["redirect_uri"][0] in self.callbacks
        return (302, [("Location", "/u/login")], b"") if known else (403, [], b"Callback URL mismatch")


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names(tmp_path)


@pytest.fixture
def tenant(names: Names) -> Iterator[Tenant]:
    with served(names) as stand_in:
        names.lead(auth0=stand_in.address)
        yield Tenant(stand_in)


@pytest.fixture
def site(tmp_path: Path) -> RestoredSite:
    """One that users log in to by Auth0."""
    found = RestoredSite(tmp_path)
    found.forget("add_callback")
    config = found.folder / "qhub-config.yaml"
    settings = (
        f"    config:\n      client_id: hub-application\n      auth0_subdomain: {TENANT.partition('.')[0]}\n"
    )
    config.write_text(config.read_text().replace("type: password\n", f"type: Auth0\n{settings}"))
    return found


def test_the_new_url_is_added_and_those_of_the_old_site_stay_until_it_is_gone(
    site: RestoredSite, names: Names, tenant: Tenant
) -> None:
    wanted = site.wanted(**ALLOWED)
    names.take(wanted, "add_callback", kill=1)
    assert site.evidence("add_callback") == {}
    assert names.take(wanted, "add_callback") == "carried out"
    assert tenant.callbacks == [OLD_URL, OTHER_URL, NEW_URL, RENAMED_URL]
    assert names.take(wanted, "add_callback").startswith("done at")
    site.forget("add_callback")
    assert names.take(wanted, "add_callback") == "carried out"
    assert tenant.patched == 1

    site.after("commit", "restore", "import_users", "root_password", "verify", "destroy_old_site")
    tenant.callbacks.remove(NEW_URL)
    assert "nobody could log in" in names.take(wanted, "remove_callbacks")
    tenant.callbacks.append(NEW_URL)
    names.take(wanted, "remove_callbacks", kill=1)
    assert names.take(wanted, "remove_callbacks") == "carried out"
    assert sorted(tenant.callbacks) == sorted([OTHER_URL, NEW_URL])
    assert "planted" not in (site.kept / "redeployment.json").read_text()


def test_what_a_person_has_added_is_seen_by_asking_auth0(
    site: RestoredSite, names: Names, tenant: Tenant
) -> None:
    refused = names.take(site.wanted(), "add_callback")
    assert f"does not take {NEW_URL} and {RENAMED_URL}" in refused
    tenant.callbacks += [NEW_URL, RENAMED_URL]
    assert names.take(site.wanted(), "add_callback") == "carried out"
    assert tenant.patched == 0


def test_auth0_that_does_not_let_us_in_is_named_and_nothing_changed(
    site: RestoredSite, names: Names, tenant: Tenant
) -> None:
    wrong = names.take(site.wanted(**{**ALLOWED, "auth0_client_secret": "planted-wrong"}), "add_callback")
    assert f"Auth0 at {TENANT} has answered 401 to POST /oauth/token" in wrong
    assert "planted-wrong" not in wrong
    assert (tenant.callbacks, site.evidence("add_callback")) == ([OLD_URL, OTHER_URL], {})


def test_github_is_named_with_its_page(site: RestoredSite) -> None:
    config = site.folder / "qhub-config.yaml"
    config.write_text(config.read_text().replace("type: Auth0", "type: GitHub"))
    assert site.take(step="add_callback") == "carried out"
    assert site.evidence("add_callback") == {
        "callback_url": NEW_URL.replace("auth0", "github"),
        "to_be_added_at": "https://github.com/settings/developers",
    }
