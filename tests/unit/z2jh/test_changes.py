"""Objects and values before and after, without what is secret."""

from __future__ import annotations

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import changes
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.changes import ValueChange

SECRET = "c2VjcmV0LW9mLXRoZS1odWI="


def hub(image: str, version: str) -> dict[str, Any]:
    variables = [{"name": "PGPASSWORD", "value": "in-the-open"}, {"name": "LANG", "value": "C"}]
    return {
        "kind": "Deployment",
        "metadata": {"name": "hub", "labels": {"chart": f"jupyterhub-{version}", "component": "hub"}},
        "spec": {
            "template": {
                "metadata": {"annotations": {"checksum/secret": version}},
                "spec": {"containers": [{"image": image, "env": variables}]},
            }
        },
    }


def secret(data: str) -> dict[str, Any]:
    return {"kind": "Secret", "metadata": {"name": "hub"}, "data": {"values.yaml": data}}


def test_objects_are_told_as_added_removed_and_changed() -> None:
    before = [hub("hub:3", "3.3.8"), {"kind": "Role", "metadata": {"name": "old"}}]
    after = [hub("hub:4", "4.4.0"), {"kind": "PodDisruptionBudget", "metadata": {"name": "hub"}}]
    found = list(changes.of_objects(before, after, []))
    assert [(each.kind, each.name, each.change) for each in found] == [
        ("Deployment", "hub", "changed"),
        ("PodDisruptionBudget", "hub", "added"),
        ("Role", "old", "removed"),
    ]
    assert '"image": "hub:3"' in found[0].before and '"image": "hub:4"' in found[0].after


def test_labels_of_the_version_and_checksums_alone_are_no_change() -> None:
    assert list(changes.of_objects([hub("hub:3", "3.3.8")], [hub("hub:3", "4.4.0")], [])) == []


def test_no_secret_is_shown() -> None:
    before = [secret(SECRET), hub("hub:3", "3"), {"kind": "ConfigMap", "data": {"a": "token-in-a-config"}}]
    after = [hub("hub:4", "4"), {"kind": "ConfigMap", "data": {"a": "token-in-a-config", "b": "x"}}]
    shown = str(list(changes.of_objects(before, after, ["token-in-a-config"])))
    assert "'Secret'" in shown
    for text in (SECRET, "in-the-open", "token-in-a-config"):
        assert text not in shown


def test_a_long_text_is_shown_by_its_digest() -> None:
    found = list(
        changes.of_objects(
            [{"kind": "ConfigMap", "metadata": {"name": "hub"}, "data": {"config.py": "a = 1\n" * 200}}],
            [{"kind": "ConfigMap", "metadata": {"name": "hub"}, "data": {"config.py": "a = 2\n" * 200}}],
            [],
        )
    )
    assert "200 lines, sha256" in found[0].before
    assert found[0].before != found[0].after


def test_defaults_are_shown_and_what_the_user_supplies_is_not() -> None:
    before: dict[str, Any] = {
        "hub": {"image": {"tag": "3"}, "extraConfig": {"a": "old"}},
        "debug": {"enabled": False},
    }
    after = {"hub": {"image": {"tag": "4"}, "extraConfig": {"a": "new"}}, "debug": {"enabled": True}}
    before["hub"]["cookieSecret"] = "supplied-until-now"
    supplied: list[dict[str, Any]] = [
        {"hub": {"cookieSecret": "supplied-until-now"}},
        {"hub": {"extraConfig": {"a": "new"}}},
    ]
    assert list(changes.of_values(before, after, supplied)) == [
        ValueChange("debug.enabled", "false", "true"),
        ValueChange("hub.cookieSecret", "***", "(not set)"),
        ValueChange("hub.extraConfig.a", "***", "***"),
        ValueChange("hub.image.tag", '"3"', '"4"'),
    ]
