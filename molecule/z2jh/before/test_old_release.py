"""The old release, of which the tests after the upgrades are told."""

from __future__ import annotations

import json

from conftest import Site


def test_it_serves_and_a_server_runs(site: Site) -> None:
    assert site.ask("/")["version"] == "1.5.1"
    people, volumes = site.people(), site.volumes()
    assert {"ada", "admin", "bob"} <= set(people)
    assert set(volumes) == {"hub-db-dir", "claim-ada"}
    assert site.ask("/users/ada")["server"]
    site.memory.write_text(json.dumps({"people": people, "volumes": volumes}))
