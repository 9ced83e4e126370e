"""The test bed's chart behaves as the real one: its hub, people's servers, and their volumes."""

from __future__ import annotations

from tests.testbed.z2jh.release import Release


def test_a_home_and_the_people_survive_each_upgrade_of_the_chart(release: Release) -> None:
    """Of a release made by Helm 3 and upgraded by Helm 4, from the oldest version of the chart on."""
    release.install("1.2.0", helm=3)
    release.start_server("ada")
    release.in_server("ada", "echo hers >note")
    release.stop_server("ada")
    people = created(release)
    volumes = release.volumes()
    assert set(volumes) == {"hub-db-dir", "claim-ada"}

    for version, hub in {"2.0.0": "3.0.0", "3.3.8": "4.1.6", "4.3.5": "5.4.6"}.items():
        release.upgrade_by_helm(version)
        assert release.ask("GET", "/")["version"] == hub

    release.start_server("ada")
    assert release.in_server("ada", "cat note") == "hers\n"
    assert created(release) == people
    assert release.volumes() == volumes


def created(release: Release) -> dict[str, str]:
    """When each user was."""
    return {user["name"]: user["created"] for user in release.ask("GET", "/users")}
