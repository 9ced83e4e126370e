"""What people are told on a hub's pages, as real hubs show it."""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.announcement import announce
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.modules import jupyterhub_announcement

from tests.hubs.real_hub import stopped_hub

ATTACK = "Saturday <script>alert(1)</script> & Sunday"
ESCAPED = "Saturday &lt;script&gt;alert(1)&lt;/script&gt; &amp; Sunday"


def apply(deployment: Deployment, text: str, *, write_config: bool = False, check: bool = False) -> Any:
    return jupyterhub_announcement.apply(
        {"deployment": to_dict(deployment), "text": text, "write_config": write_config}, check
    )


def page(deployment: Deployment) -> str:
    with urllib.request.urlopen(f"{deployment.config.public_url}hub/login", timeout=60) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize(
    ("version", "site"),
    [
        ("1.5.1", '{"announcement": "<b>Site</b>"}'),
        ("2.3.1", '{"announcement": "<b>Site</b>"}'),
        ("4.1.6", '{"announcement": "<b>Site</b>"}'),
        ("5.4.6", '{"announcement": lambda user: "<b>Site</b>"}'),
    ],
)
def test_pages_show_what_is_announced_until_it_is_withdrawn(version: str, site: str, tmp_path: Path) -> None:
    config = tmp_path / "jupyterhub_config.py"
    with stopped_hub(version, tmp_path, config=f"c.JupyterHub.template_vars = {site}\n") as found:
        before = config.read_text()
        shown = apply(found, ATTACK, write_config=True, check=True)
        assert (shown["changed"], config.read_text()) == (True, before), "check mode has written"
        assert apply(found, ATTACK, write_config=True)["changed"]
        added = config.read_text()[len(before) :].splitlines()
        assert config.read_text().startswith(before)
        assert shown["diff"][0]["prepared"].splitlines()[3:] == [f"+{line}" for line in added]
        lifecycle.start(found, str(tmp_path / "state"), version, 60)
        deployment = find_deployment(found.name)
        again = apply(deployment, ATTACK)
        assert (again["changed"], again["shown"], again["warnings"]) == (False, True, [])
        assert ESCAPED in page(deployment) and "<b>Site</b>" in page(deployment)
        announce(deployment, "In progress.")
        assert "In progress." in page(deployment) and ESCAPED not in page(deployment)
        assert apply(deployment, "")["changed"]
        assert "In progress." not in page(deployment) and "<b>Site</b>" in page(deployment)


def test_a_config_is_not_changed_without_permission(tmp_path: Path) -> None:
    with stopped_hub("4.1.6", tmp_path) as deployment:
        config, files = (tmp_path / "jupyterhub_config.py").read_text(), set(tmp_path.iterdir())
        result = apply(deployment, "Saturday")
        announce(deployment, "In progress.")
        assert (result["changed"], result["installed"]) == (False, False)
        assert "Set jupyterhub_write_config to true to have it added" in result["warnings"][0]
        assert (tmp_path / "jupyterhub_config.py").read_text() == config
        assert set(tmp_path.iterdir()) == files
        unnamed = replace(deployment, config=replace(deployment.config, file=None))
        with pytest.raises(HubError, match="has no config in Python, which an announcement needs"):
            apply(unnamed, "Saturday")
