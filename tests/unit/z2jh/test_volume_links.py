"""Which claim a server gets at its next start, and whose is another one than before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import Server, Volume
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.verification import (
    SECOND,
    VolumeChange,
    judge_volumes,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.volume_links import (
    Broken,
    Link,
    Options,
    Spawner,
    broken,
    links_of,
    next_claim,
    options_of,
)

OLD, NEW = "claim-grace-2eh", "claim-grace-h---8f1a3c2d"
STOPPED = Spawner("grace.h", "", "", earlier=True, name=NEW, earlier_name=OLD)
LINK = Link("grace.h", "", OLD)


@pytest.mark.parametrize(
    ("spawner", "state", "claims", "options", "claim"),
    [
        # KubeSpawner 7 finds the claim of a server that was stopped before the upgrade.
        (STOPPED, None, {OLD}, Options(), OLD),
        # Of one that ran it has no name, and forgets that its state was an earlier one's.
        (STOPPED, {"pod_name": "p"}, {OLD}, Options(), NEW),
        (replace(STOPPED, earlier=False), None, {OLD}, Options(), NEW),
        # What it has once remembered counts.
        (replace(STOPPED, earlier=False, claim=OLD), None, {OLD}, Options(), OLD),
        (STOPPED, {"pvc_name": OLD}, {OLD}, Options(), OLD),
        (STOPPED, {"pvc_name": NEW}, {OLD, NEW}, Options(), NEW),
        # A claim of the new name is there already.
        (STOPPED, None, {OLD, NEW}, Options(), NEW),
        # It was told not to remember, or not to look for earlier names.
        (replace(STOPPED, claim=OLD), None, {OLD}, Options(remember=False), NEW),
        (STOPPED, None, {OLD}, Options(handle_legacy=False), NEW),
        # Code in the values may name claims otherwise.
        (STOPPED, None, {OLD}, Options(in_code=True), ""),
        (replace(STOPPED, name=None, earlier_name=None), None, {OLD}, Options(), ""),
    ],
)
def test_the_claim_of_the_next_start_is_known(
    spawner: Spawner, state: dict[str, Any] | None, claims: set[str], options: Options, claim: str
) -> None:
    assert next_claim(spawner, state, claims, options) == claim


def test_users_whose_next_start_has_another_claim_are_named() -> None:
    remembered = {("grace.h", ""): {"pod_name": "jupyter-grace-2eh"}}
    found = broken([LINK, Link("gone", "", "claim-gone")], [STOPPED], remembered, {OLD}, Options())
    assert found == [Broken(LINK, NEW)]
    assert str(found[0]) == f"grace.h ({OLD}, then {NEW})"
    assert broken([LINK], [STOPPED], {}, {OLD}, Options()) == []
    # A hub that does not remember claims names none.
    assert broken([LINK], [], remembered, {OLD}, Options()) == []


def test_the_claim_that_a_server_mounts_is_its_link_whoever_it_was_made_for() -> None:
    volumes = [
        Volume("ada", "", "claim-ada"),
        Volume("bob", "", "claim-bob"),
        Volume("bob", "", "claim-bob-old"),
        Volume("eve", "", "claim-eve"),
        Volume("eve", "", "claim-eve-old"),
    ]
    servers = [
        Server("ada", "work", "p1", claims=("claim-ada", "shared")),
        Server("bob", "", "p2", claims=("claim-bob-old",)),
    ]
    links, several = links_of(volumes, servers)
    assert links == [
        Link("ada", "", "claim-ada"),
        Link("ada", "work", "claim-ada"),
        Link("bob", "", "claim-bob-old"),
    ]
    assert several == ["eve"]


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ({}, Options()),
        (
            {"singleuser": {"storage": {"dynamic": {"pvcNameTemplate": "home-{username}"}}}},
            Options(template="home-{username}"),
        ),
        (
            {"hub": {"config": {"KubeSpawner": {"slug_scheme": "escape", "remember_pvc_name": False}}}},
            Options(slug_scheme="escape", remember=False),
        ),
        ({"hub": {"extraConfig": {"a": "c.KubeSpawner.slug_scheme = 'escape'"}}}, Options(in_code=True)),
        ({"hub": {"extraConfig": {"a": "c.Spawner.args = []"}, "extraFiles": None}}, Options()),
    ],
)
def test_the_values_say_how_claims_are_named(values: dict[str, Any], options: Options) -> None:
    assert options_of(values) == options


SECOND_ONE = VolumeChange("grace.h", "", OLD, NEW, SECOND)


@pytest.mark.parametrize(
    ("changes", "forgotten", "remembered", "problems", "warnings"),
    [
        ([], [], True, 0, 0),
        # Her files are not there at her next start; nothing is lost before.
        ([], [Broken(LINK, NEW)], True, 0, 1),
        # She has an empty home.
        ([SECOND_ONE], [Broken(LINK, NEW)], True, 1, 1),
        # She has her files again; the other claim is left to the administrator.
        ([SECOND_ONE], [], True, 0, 1),
        # Which one an earlier hub uses is not known.
        ([SECOND_ONE], [], False, 1, 0),
    ],
)
def test_a_second_volume_is_a_loss_unless_the_hub_uses_the_first(
    changes: list[VolumeChange], forgotten: list[Broken], remembered: bool, problems: int, warnings: int
) -> None:
    found = judge_volumes(changes, forgotten, remembered)
    assert tuple(map(len, found)) == (problems, warnings)
    assert all("grace.h" in line for lines in found for line in lines)
