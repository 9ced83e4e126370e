"""A chart's values: keys that a new chart no longer has, and what of them must not be shown."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import values as of

OLD = {
    "hub": {"image": {"tag": "1"}, "fsGid": 1000, "config": {}, "resources": {}},
    "rbac": {"enabled": True},
}
NEW = {"hub": {"image": {"tag": "2"}, "config": {}, "resources": {}}, "rbac": {"create": True}}


@pytest.mark.parametrize(
    ("values", "lost"),
    [
        ({"hub": {"fsGid": 100}}, ["hub.fsGid"]),
        ({"rbac": {"enabled": False}, "hub": {"image": {"tag": "x"}}}, ["rbac.enabled"]),
        # The user names the keys there.
        ({"hub": {"config": {"JupyterHub": {"admin_access": False}}}}, []),
        ({"hub": {"resources": {"limits": {"memory": "1G"}}}}, []),
        # Neither chart has had it: the schema's affair.
        ({"hub": {"fsGidd": 100}}, []),
    ],
)
def test_keys_that_only_the_old_chart_has_are_named(values: dict[str, Any], lost: list[str]) -> None:
    assert of.forgotten(values, OLD, NEW) == lost


def test_values_are_merged_as_helm_does_it() -> None:
    merged = of.merged({"a": {"b": 1, "c": [1, 2]}, "d": 1}, {"a": {"c": [3]}, "d": None})
    assert merged == {"a": {"b": 1, "c": [3]}, "d": None}


def test_secrets_are_found_by_their_keys_and_taken_out_of_texts() -> None:
    values = {
        "proxy": {"secretToken": "0123456789abcdef"},
        "hub": {
            "db": {"password": "hunter2hunter2", "url": "postgresql://hub:s3cr3t@db/hub"},
            "services": {"bot": {"apiToken": "bot-token-bot-token"}},
            "config": {"GitHubOAuthenticator": {"client_secret": "gh-secret-gh", "client_id": "gh-client"}},
            "extraEnv": {"KEYS": ["first-key-first"]},
        },
        "singleuser": {"image": {"name": "jupyter/scipy"}},
    }
    secrets = list(of.secrets_of(values))
    text = of.redacted(
        "0123456789abcdef hunter2hunter2 bot-token-bot-token gh-secret-gh first-key-first "
        "postgresql://hub:s3cr3t@db/hub jupyter/scipy",
        secrets,
    )
    assert text == "*** *** *** *** *** postgresql://hub:***@db/hub jupyter/scipy"


def test_a_key_may_be_there_with_nothing_in_it() -> None:
    assert of.has({"hub": {"db": {"url": None}}}, "hub.db.url")
    assert of.get({"hub": {"db": {"url": None}}}, "hub.db.url", "none") == "none"
    assert not of.has({"hub": None}, "hub.db")
