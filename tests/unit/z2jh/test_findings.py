"""Findings of an upgrade of the chart: what each says, and that a sound release has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import Finding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import charts, findings
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import values as of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.databases import NONE
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.findings import Target, Upgrade
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.hub_database import Evidence
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import (
    Database,
    Release,
    Revision,
    Server,
    Volume,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.rendering import (
    FAILED,
    REFUSED,
    REMOVED,
    Problem,
)

DEFAULTS: dict[str, Any] = {
    "hub": {
        "config": {"JupyterHub": {"authenticator_class": "dummy"}},
        "db": {"type": "sqlite-pvc", "upgrade": None},
        "deploymentStrategy": {"type": "Recreate"},
        "extraConfig": {},
    },
    "singleuser": {
        "storage": {
            "type": "dynamic",
            "static": {"subPath": "{username}"},
            "dynamic": {"pvcNameTemplate": None},
        },
        "allowPrivilegeEscalation": False,
    },
}


def upgrade(
    start: str = "4.3.5",
    to: str = "4.4.0",
    values: dict[str, Any] | None = None,
    target: dict[str, Any] | None = None,
    single_user: dict[str, str] | None = None,
    old_defaults: dict[str, Any] | None = None,
    running_servers: str = findings.KEEP,
    fix_volumes: bool = False,
    evidence: Evidence = NONE,
    **release: Any,
) -> Upgrade:
    """The upgrade of a sound release; ``target`` and ``release`` are what is otherwise."""
    values = values or {}
    plain = Release(
        name="jhub",
        namespace="hubs",
        revision=3,
        state="deployed",
        deployed_revision=3,
        chart_version=start,
        jupyterhub_version=charts.JUPYTERHUB[start],
        database=Database("sqlite-pvc", "", "hub-db-dir"),
        hub_ready=True,
        history=(
            Revision(3, "deployed", start, charts.JUPYTERHUB[start], "2026-11-20T21:15:00Z", "Complete"),
        ),
        kubernetes_version="v1.34.4",
        values=values,
    )
    wanted = Target(
        chart_version=to,
        jupyterhub_version=charts.JUPYTERHUB.get(to, "5.5.0"),
        kube_version=">=1.28.0-0",
        kube_satisfied=True,
        values=values,
        effective=of.merged(DEFAULTS, values),
        defaults=DEFAULTS,
    )
    return Upgrade(
        replace(plain, **release),
        replace(wanted, **(target or {})),
        old_defaults or DEFAULTS,
        single_user or {},
        running_servers,
        fix_volumes,
        evidence,
    )


def found(*accept: str, **what: Any) -> dict[str, Finding]:
    return {each.id: each for each in findings.find(upgrade(**what), accept)}


def test_a_sound_release_within_a_major_has_none() -> None:
    assert found() == {}


def pending() -> dict[str, Any]:
    history = (
        Revision(3, "deployed", "4.3.5", "5.4.6"),
        Revision(4, "pending-upgrade", "4.4.0", "5.5.0", "2026-11-20T21:15:00Z"),
    )
    return {"revision": 4, "state": "pending-upgrade", "history": history}


def failed() -> dict[str, Any]:
    history = (
        Revision(3, "deployed", "4.3.5", "5.4.6"),
        Revision(4, "failed", "4.4.0", "5.5.0", "", "timed out waiting"),
    )
    return {"revision": 4, "state": "failed", "history": history}


CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("release-owned", "Flux", {"owner": "Flux, HelmRelease flux/jhub"}),
    ("release-pending", "pending-upgrade since 2026-11-20", pending()),
    ("release-failed", "timed out waiting. Revision 3 serves", failed()),
    ("hub-not-ready", "no ready pod", {"hub_ready": False}),
    ("chart-older", "has the chart 4.4.0, the target is 4.3.5", {"start": "4.4.0", "to": "4.3.5"}),
    ("chart-older", "has JupyterHub 5.4.6", {"target": {"jupyterhub_version": "5.4.0"}}),
    ("chart-prerelease", "4.5.0-beta.1", {"to": "4.5.0-beta.1"}),
    (
        "cluster-too-old",
        "is v1.34.4, the chart 4.4.0 needs >=1.28.0-0",
        {"target": {"kube_satisfied": False}},
    ),
    (
        "value-removed",
        "hub.fsGid",
        {"target": {"problems": (Problem(REMOVED, "hub.fsGid", "CHANGED: hub.fsGid"),)}},
    ),
    ("template-fails", "nil pointer", {"target": {"problems": (Problem(FAILED, "", "nil pointer"),)}}),
    (
        "value-ignored",
        "no hub.uid",
        {"values": {"hub": {"uid": 1}}, "old_defaults": {"hub": {"uid": 1000}, "singleuser": {}}},
    ),
    ("values-differ", "hub.extraConfig.a", {"target": {"values": {"hub": {"extraConfig": {"a": "b"}}}}}),
    (
        "database-external",
        "postgres at postgresql://hub:***@db/hub",
        {"start": "3.3.8", "to": "4.4.0", "database": Database("postgres", "postgresql://hub:***@db/hub")},
    ),
    ("database-not-dumped", "other, on no volume", {"database": Database("other", "cockroachdb://db/hub")}),
    (
        "database-by-hand",
        "snapshot 7, of 21:00. Its restore: gcloud sql",
        {
            "database": Database("postgres", "postgresql://hub:***@127.0.0.1/hub"),
            "evidence": Evidence("snapshot 7", "21:00", "gcloud sql backups restore 7"),
        },
    ),
    ("database-upgrade-stays", "true", {"values": {"hub": {"db": {"upgrade": True}}}}),
    ("database-in-pod", "sqlite-memory", {"database": Database("sqlite-memory")}),
    (
        "rolling-update",
        "RollingUpdate",
        {"values": {"hub": {"deploymentStrategy": {"type": "RollingUpdate"}}}},
    ),
    (
        "egress-widened",
        "singleuser.networkPolicy.egress is set",
        {"start": "1.2.0", "to": "2.0.0", "values": {"singleuser": {"networkPolicy": {"egress": []}}}},
    ),
    (
        "admin-access-off",
        "false",
        {
            "start": "1.2.0",
            "to": "2.0.0",
            "values": {"hub": {"config": {"JupyterHub": {"admin_access": False}}}},
        },
    ),
    ("privilege-escalation", "not set", {"start": "1.2.0", "to": "2.0.0"}),
    (
        "config-priority",
        "hub.extraConfig",
        {
            "start": "1.2.0",
            "to": "2.0.0",
            "values": {"hub": {"config": {"Authenticator": {}}, "extraConfig": {"a": "pass"}}},
        },
    ),
    (
        "scheduler-plugins",
        "plugins is set",
        {
            "start": "1.2.0",
            "to": "2.0.0",
            "values": {"scheduling": {"userScheduler": {"plugins": {"score": {}}}}},
        },
    ),
    (
        "service-without-scopes",
        "bot",
        {"start": "1.2.0", "to": "2.0.0", "values": {"hub": {"services": {"bot": {"apiToken": "x"}}}}},
    ),
    (
        "oauth-allow-rule",
        "github",
        {
            "start": "2.0.0",
            "to": "3.3.8",
            "values": {"hub": {"config": {"JupyterHub": {"authenticator_class": "github"}}}},
        },
    ),
    (
        "spawner-braces",
        "singleuser.extraEnv.PROMPT",
        {"start": "2.0.0", "to": "3.3.8", "values": {"singleuser": {"extraEnv": {"PROMPT": "{host}"}}}},
    ),
    (
        "no-allow-rule",
        "ldapauthenticator",
        {
            "start": "3.3.8",
            "to": "4.4.0",
            "values": {"hub": {"config": {"JupyterHub": {"authenticator_class": "ldapauthenticator.LDAP"}}}},
        },
    ),
    (
        "homes-move",
        "singleuser.storage.static.subPath. Known people with another text: ada.l@example.org",
        {
            "start": "3.3.8",
            "to": "4.4.0",
            "values": {"singleuser": {"storage": {"type": "static"}}},
            "servers": (Server("ada.l@example.org", "", "pod"), Server("bob", "", "pod-2")),
        },
    ),
    (
        "homes-forgotten",
        "run: ada-l, bob/big.one",
        {
            "start": "3.3.8",
            "to": "4.4.0",
            "servers": (
                Server("ada-l", "", "p1", claims=("claim-ada-2dl",)),
                Server("bob", "", "p2", claims=("claim-bob",)),
                Server("bob", "big.one", "p3", claims=("claim-bob-big-2eone",)),
                Server("eve-l", "", "p4"),
            ),
        },
    ),
    (
        "homes-linked",
        "that get another name run: ada-l.",
        {
            "start": "3.3.8",
            "to": "4.4.0",
            "fix_volumes": True,
            "servers": (Server("ada-l", "", "p1", claims=("claim-ada-2dl",)),),
        },
    ),
    (
        "homes-linked",
        "bob/big (claim-bobbig)",
        {
            "start": "3.3.8",
            "to": "4.4.0",
            "fix_volumes": True,
            "volumes": (Volume("bob", "big", "claim-bobbig"),),
        },
    ),
    (
        "servers-refused",
        "run: ada, bob/big.",
        {"running_servers": "refuse", "servers": (Server("ada", "", "p1"), Server("bob", "big", "p2"))},
    ),
    ("servers-stopped", "run: ada.", {"running_servers": "stop", "servers": (Server("ada", "", "p1"),)}),
    (
        "named-servers-homes",
        "bob/big (claim-bobbig)",
        {"start": "3.3.8", "to": "4.4.0", "volumes": (Volume("bob", "big", "claim-bobbig"),)},
    ),
    (
        "names-change",
        "singleuser.extraEnv.HOME_OF",
        {"start": "3.3.8", "to": "4.4.0", "values": {"singleuser": {"extraEnv": {"HOME_OF": "{username}"}}}},
    ),
    (
        "single-user-version",
        "Servers of lab:1 run: It has JupyterHub 4.1.6",
        {"single_user": {"lab:1": "4.1.6"}},
    ),
    (
        "single-user-unknown",
        "lab:2",
        {"single_user_images": ("lab:1", "lab:2"), "single_user": {"lab:1": "5.5.0"}},
    ),
    ("chart-changes-2", "1.2.0 to 4.4.0", {"start": "1.2.0", "to": "4.4.0"}),
    ("chart-changes-3", "1.2.0 to 4.4.0", {"start": "1.2.0", "to": "4.4.0"}),
    ("chart-changes-4", "1.2.0 to 4.4.0", {"start": "1.2.0", "to": "4.4.0"}),
    ("chart-changes-5", "crosses 5.0", {"start": "4.4.0", "to": "5.0.0"}),
]


@pytest.mark.parametrize(("id", "said", "what"), CASES, ids=[case[0] for case in CASES])
def test_each_is_found(id: str, said: str, what: dict[str, Any]) -> None:
    assert said in found(**what)[id].found


def test_every_kind_has_a_case() -> None:
    kinds = {kind.id for kind in (*findings.KINDS, *findings.SHARED)}
    assert kinds - {case[0] for case in CASES} == {"value-refused"}


@pytest.mark.parametrize(
    ("key", "fix"),
    [
        ("hub.extraConfg", "Did you mean hub.extraConfig?"),
        ("hub.zzz", "Take it out of the values."),
        ("hub.uid", "The present chart has it: look for it in"),
        ("hub.db", "Correct it in the values"),
    ],
)
def test_a_refused_value_comes_with_what_it_may_be_meant_for(key: str, fix: str) -> None:
    problems = (Problem(REFUSED, key, "the chart knows no such key"),)
    refused = found(target={"problems": problems}, old_defaults={"hub": {"uid": 1000}})["value-refused"]
    assert refused.found == f"{key}: the chart knows no such key."
    assert refused.fix.startswith(fix)


NONE_OF_THEM: list[tuple[str, dict[str, Any]]] = [
    (
        "egress-widened",
        {
            "start": "1.2.0",
            "to": "2.0.0",
            "values": {"hub": {"networkPolicy": {"egress": [], "egressAllowRules": {"privateIPs": False}}}},
        },
    ),
    ("no-allow-rule", {"start": "3.3.8", "to": "4.4.0"}),
    (
        "no-allow-rule",
        {
            "start": "3.3.8",
            "to": "4.4.0",
            "values": {
                "hub": {
                    "config": {
                        "JupyterHub": {"authenticator_class": "github"},
                        "Authenticator": {"allowed_users": ["ada"]},
                    }
                }
            },
        },
    ),
    (
        "no-allow-rule",
        {
            "start": "3.3.8",
            "to": "4.4.0",
            "values": {
                "hub": {
                    "config": {"JupyterHub": {"authenticator_class": "github"}},
                    "extraConfig": {"who": "c.Authenticator.allow_all = True"},
                }
            },
        },
    ),
    (
        "homes-move",
        {
            "start": "3.3.8",
            "to": "4.4.0",
            "values": {
                "singleuser": {"storage": {"type": "static", "static": {"subPath": "{escaped_username}"}}}
            },
        },
    ),
    (
        "homes-forgotten",
        {
            "start": "3.3.8",
            "to": "4.4.0",
            "values": {"hub": {"config": {"KubeSpawner": {"slug_scheme": "escape"}}}},
            "servers": (Server("ada-l", "", "p1", claims=("claim-ada-2dl",)),),
        },
    ),
    # Stopped by the old hub, whose servers the new one knows to look for.
    (
        "homes-forgotten",
        {
            "start": "3.3.8",
            "to": "4.4.0",
            "running_servers": "stop",
            "servers": (Server("ada-l", "", "p1", claims=("claim-ada-2dl",)),),
        },
    ),
    ("servers-refused", {"running_servers": "refuse"}),
    ("servers-stopped", {"running_servers": "stop"}),
    (
        "database-external",
        {
            "start": "3.3.8",
            "to": "4.4.0",
            "database": Database("postgres"),
            "values": {"hub": {"db": {"upgrade": True}}},
        },
    ),
    ("single-user-version", {"single_user": {"lab:1": "5.4.0"}}),
]


@pytest.mark.parametrize(("id", "what"), NONE_OF_THEM)
def test_what_is_in_order_is_not_found(id: str, what: dict[str, Any]) -> None:
    assert id not in found(**what)


def test_an_accepted_blocker_is_a_warning_and_one_that_cannot_be_accepted_stays() -> None:
    owned = found("release-owned", owner="Flux, HelmRelease flux/jhub")["release-owned"]
    assert owned.severity == "warning"
    assert found("release-pending", **pending())["release-pending"].severity == "blocker"


def test_the_fix_of_a_pending_release_is_the_command_for_it() -> None:
    fix = found(**pending())["release-pending"].fix
    assert "helm rollback jhub 3 --namespace hubs" in fix


def test_an_unknown_id_is_refused_with_what_it_may_be_meant_for() -> None:
    with pytest.raises(HubError, match=r"unknown findings: homes-moved\. Did you mean homes-move"):
        findings.require_known(["homes-moved"])
