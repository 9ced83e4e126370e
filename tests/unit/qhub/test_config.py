"""``qhub-config.yaml`` read and changed by lines."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import config

TEXT = """\
---
# The site of the institute
project_name: oldproj   # see ticket 12
provider: aws
domain: "hub#1.example.org" # in quotes

security:
  authentication:
    type: GitHub
    config:
      client_id: 'it''s'
  users:
    ada: &first
      uid: 1001
      secondary_groups:
      - users
      - admin: no mapping of ours
        domain: nor this
      primary_group: admin
    "grace.h":
      uid: 1002
  groups: {}
theme:
  welcome: Welcome to <a href="https://x">it</a>, and a second
    line that is none
  css: |
    domain: not.this.one
default_images:
  jupyterhub: quansight/qhub-jupyterhub:v0.3.14
amazon_web_services:
  kubernetes_version: '1.18'
prevent_deploy: true
"""


def test_values_are_those_that_yaml_has() -> None:
    read, whole = config.parse(TEXT), yaml.safe_load(TEXT)
    assert read.get("domain") == whole["domain"] == "hub#1.example.org"
    assert read.get("security", "authentication", "config", "client_id") == "it's"
    assert list(read.children("security", "users")) == list(whole["security"]["users"])
    assert read.children("security", "groups") == ()
    assert (read.version, read.authentication, read.prevents_deploy) == ("0.3.14", "GitHub", True)
    assert set(read.children()) == set(whole)


def test_a_change_is_one_line_and_its_comment_stays() -> None:
    read = config.parse(TEXT)
    changed = read.with_value(("project_name",), "newproj").with_value(read.kubernetes_version, "1.22")
    assert changed.text == TEXT.replace("oldproj ", "newproj ").replace("'1.18'", "'1.22'")
    assert read.without(("prevent_deploy",)).text == TEXT.replace("prevent_deploy: true\n", "")
    assert yaml.safe_load(read.with_section("kbatch", enabled="false").text)["kbatch"] == {"enabled": False}


def test_what_yaml_would_read_as_a_number_gets_quotes() -> None:
    changed = config.parse("a: x # why\n").with_value(("a",), "1.20")
    assert changed.text == "a: '1.20' # why\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n\tb: 2\n", "line 2 is not a key with a value"),
        ("a: 1\n---\nb: 2\n", "line 2 is not a key"),
        ("a: 1\na: 2\n", "line 2: a stands there a second time"),
        ("{a: 1}\n", "line 1 is not a key"),
    ],
)
def test_what_it_cannot_read_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(HubError, match=message):
        config.parse(text)


def test_a_value_that_is_needed_and_not_plain_is_refused() -> None:
    with pytest.raises(HubError, match="line 1: domain is not written as a plain value"):
        config.parse("domain: *name\n").get("domain")
    with pytest.raises(HubError, match=r"line 2: security.users is not a mapping in block style"):
        config.parse("security:\n  users: {ada: {}}\n").children("security", "users")
    with pytest.raises(HubError, match="has no project_name"):
        config.parse("domain: x\n").with_value(("project_name",), "x")
