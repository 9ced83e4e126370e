"""The plan as a page for those who have to agree to it."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.plan_files import contents

from tests import stories
from tests.hostile import ATTACK, hostile

PLAN = to_dict(stories.plan())


def files(plans: dict[str, object], name: str = "plan.json") -> dict[str, str]:
    return {str(path): content for path, content in contents(plans, f"/reviews/{name}").items()}


def test_the_plan_that_an_upgrade_follows_has_pages_beside_it() -> None:
    made = files({"hub1": PLAN})
    assert list(made) == ["/reviews/plan.json", "/reviews/plan.html", "/reviews/plan.md"]
    assert json.loads(made["/reviews/plan.json"]) == json.loads(json.dumps({"hub1": PLAN}))
    for told in (
        "JupyterHub 4.1.6 \N{RIGHTWARDS ARROW} 6.1.1",
        "no blockers, 1 warning",
        "jupyterhub.service has KillMode=control-group.",
        "Stop jupyterhub.service and keep it down. The outage begins.",
        "oauthenticator",
    ):
        assert told in made["/reviews/plan.html"], told


def test_a_file_without_a_suffix_keeps_its_name() -> None:
    named = list(files({"hub1": PLAN}, "hub1.example.org"))
    assert [Path(each).name for each in named] == [
        *("hub1.example.org", "hub1.example.org.html", "hub1.example.org.md")
    ]


def test_hubs_of_one_plan_are_told_apart() -> None:
    made = files({"hub1": PLAN, "hub2": {**PLAN, "action": "nothing", "steps": []}})
    assert "1 of 2 hubs would change" in made["/reviews/plan.html"]
    assert "<h2>hub1: Steps</h2>" in made["/reviews/plan.html"]
    assert "<h2>hub2: Steps</h2>" not in made["/reviews/plan.html"]
    assert "2 of 2 hubs: hub1, hub2" in made["/reviews/plan.html"], "no findings by frequency"
    assert "| hub1 | 4.1.6 | 6.1.1 | 4.2 s | 0 | 1 |" in made["/reviews/plan.md"]


def test_nothing_that_others_have_written_is_markup() -> None:
    made = files({f"hub1{ATTACK}": hostile(PLAN)})
    assert "<script" not in made["/reviews/plan.html"] and "<img" not in made["/reviews/plan.html"]
    assert made["/reviews/plan.html"].count("&lt;script&gt;") > 40
