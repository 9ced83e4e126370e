"""Names of our own objects, which Kubernetes has to take whatever a release is called."""

from __future__ import annotations

from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.guard import Names
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.pods import own_name


def test_a_release_is_named_in_full_where_there_is_room() -> None:
    assert Names("jhub").guard == "hubops-jhub-guard"
    assert Names("jupyterhub-of-the-department-of-physics").database == (
        "hubops-jupyterhub-of-the-department-of-physics-database"
    )


def test_the_longest_release_that_helm_takes_has_names_that_a_job_can_have() -> None:
    releases = [f"jupyterhub-of-the-department-of-theoretical-physics-{number}" for number in (1, 2)]
    assert [len(release) for release in releases] == [53, 53]
    for what in ("guard", "database", "recovery", "dump"):
        names = {own_name(release, what) for release in releases}
        assert len(names) == 2
        assert all(len(name) <= 63 and name.endswith(f"-{what}") for name in names)
