#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_announcement
short_description: Tells people something on every page of a hub
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Writes a text into C(hubops_announcement.txt) beside the hub's config. A snippet in the config has every
    page of the hub show that, as text and not as HTML, together with an announcement of the site's own. No
    restart is needed for another text.
  - The snippet is added to the config once, with O(write_config), and takes effect at the hub's next start.
    A hub without it shows nothing, and a warning says so.
  - A run removes the text when the new hub is accepted, or the old one restored.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.attributes
attributes:
  diff_mode:
    description: Shows the snippet as it is added, and the text before and after.
    support: full
options:
  text:
    description: What to tell people. Nothing is shown where it is empty.
    type: str
    default: ""
  write_config:
    description: Whether the snippet may be added to the hub's config.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Announce the upgrade
  hubops.jupyterhub.jupyterhub_announcement:
    deployment: "{{ jupyterhub_deployment }}"
    text: JupyterHub is going to be upgraded on Saturday at 22:00.
    write_config: true
"""

RETURN = r"""
shown:
  description: Whether the hub that runs shows it.
  returned: success
  type: bool
  sample: true
installed:
  description: Whether the config has the snippet.
  returned: success
  type: bool
  sample: true
file:
  description: The file with the text.
  returned: success
  type: str
  sample: /etc/jupyterhub/hubops_announcement.txt
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.announcement import (
    announcement_of,
    is_loaded,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Add the snippet where it is missing and allowed, and write the text."""
    deployment, text = from_dict(Deployment, params["deployment"]), params["text"].strip()
    announcement = announcement_of(deployment)
    before, had = announcement.shown(), announcement.is_installed
    installs = bool(text) and not had and params["write_config"]
    installed = had or installs
    after = text if installed else ""
    diffs = []
    if text and not had:
        diffs.append({"prepared": f"{announcement.diff()}\n"})
    if before != after:
        header = str(announcement.text)
        diffs.append({"before": before, "after": after, "before_header": header, "after_header": header})
    if not check:
        if installs:
            announcement.install()
        announcement.show(after)
    loaded = installed and not (check and installs) and is_loaded(deployment, announcement)
    return {
        "changed": installs or before != after,
        "shown": loaded,
        "installed": installed,
        "file": str(announcement.text),
        "diff": diffs,
        "warnings": _warnings(bool(text), installed, loaded, check),
    }


def _warnings(tells: bool, installed: bool, loaded: bool, check: bool) -> list[str]:
    """Why nobody reads it yet."""
    if not tells or loaded:
        return []
    if not installed:
        return [
            "The hub's pages announce nothing: its config lacks the snippet for that. Set "
            "jupyterhub_write_config to true to have it added; --check --diff shows it."
        ]
    return [] if check else ["The hub's pages show the announcement once the hub has been restarted."]


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.DEPLOYMENT,
            text=dict(type="str", default=""),
            write_config=dict(type="bool", default=False),
        ),
        apply,
    )


if __name__ == "__main__":
    main()
