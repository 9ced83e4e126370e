#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: qhub_info
short_description: Plans the redeployment of a QHub, or tells how it stands
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Reads the config of the site and the record of its redeployment, and says which steps there are, which are
    done, with their evidence, and which is next. Before the first step it also says what is missing.
  - Nothing is changed, installed or deployed, and no cloud is asked.
options:
  fetch:
    description:
      - File on the controller to write the report into. Page and ticket go beside it, with the suffixes
        C(.html) and C(.md).
    type: str
    default: ""
extends_documentation_fragment:
  - hubops.jupyterhub.qhub_site
  - hubops.jupyterhub.attributes.reads
"""

EXAMPLES = r"""
- name: See what a redeployment would do, and what it lacks
  hubops.jupyterhub.qhub_info:
    site:
      folder: /srv/qhub
      version: "0.4.5"
      old_domain: qhub-old.example.org
      project: myqhubnew
"""

RETURN = r"""
plan:
  description: The redeployment.
  returned: always
  type: dict
  contains:
    domain:
      description: The domain of the site, which the new one gets.
      type: str
      sample: qhub.example.org
    provider:
      description: Where its cluster is, as the config says it.
      type: str
      sample: aws
    from_version:
      description: The version that the old site runs.
      type: str
      sample: 0.3.14
    to_version:
      description: The wanted version.
      type: str
      sample: 0.4.5
    users:
      description: How many users the config has; none once it is upgraded.
      type: int
      sample: 12
    begun:
      description: Whether the first step was carried out.
      type: bool
      sample: true
    steps:
      description: The steps in their order.
      type: list
      elements: dict
      contains:
        name:
          description: As O(hubops.jupyterhub.qhub_step#module:step) takes it.
          type: str
          sample: back_up
        title:
          description: What it does.
          type: str
          sample: Back up users' data and the hub's database
        state:
          description: V(done), V(next), V(later), or V(again) where what it did is not so any more.
          type: str
          sample: done
        at:
          description: When it was done, UTC.
          type: str
          sample: "2026-11-20T21:15:00+00:00"
        by:
          description: The user of the host who had it done.
          type: str
          sample: root
        evidence:
          description: What shows that it is done.
          type: dict
          sample: {"user_data": "/backups/home.tar"}
        why:
          description: Why it has to be carried out again.
          type: str
          sample: ""
        failed:
          description: When, and why its last attempt has failed; empty where it has not.
          type: str
          sample: "failed at 2026-11-20T21:15:00+00:00 by root: The backup /backups/home.tar is 25.0 h old."
    findings:
      description: What to know before the first step; none later.
      type: list
      elements: dict
      contains:
        id:
          description: Names the finding.
          type: str
          sample: qhub-old-domain
        severity:
          description: V(blocker), V(warning) or V(note).
          type: str
          sample: blocker
        found:
          description: What was found.
          type: str
          sample: No domain is named under which the old site goes on.
        why:
          description: Why it matters.
          type: str
          sample: The new site gets its domain, and the old one is the way back.
        fix:
          description: What to do.
          type: str
          sample: Name a domain of yours.
        accept:
          description: Whether a blocker may be accepted; never here.
          type: bool
          sample: false
    callback_url:
      description: The URL that the OAuth application has to be told; empty without one.
      type: str
      sample: https://qhub.example.org/auth/realms/qhub/broker/github/endpoint
    destruction_begun:
      description: Since when the old site may be gone, UTC; empty while it is the way back.
      type: str
      sample: ""
    rollback:
      description: The steps of the way back, once it has begun, as in RV(plan.steps).
      type: list
      elements: dict
      sample: []
lines:
  description: The same for people.
  returned: always
  type: list
  elements: str
  sample: ["QHub 0.3.14 -> 0.4.5 at https://qhub.example.org (aws): not begun, 0 blockers"]
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.02
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Site
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict


def look(params: dict[str, Any], _check: bool) -> dict[str, Any]:
    """Read config and record."""
    plan = redeployment.plan(from_dict(Site, params["site"]))
    return {"plan": to_dict(plan), "lines": redeployment.lines(plan)}


def main() -> None:
    """Arguments, call, result."""
    arguments.run({**arguments.QHUB_SITE, "fetch": {"type": "str", "default": ""}}, look)


if __name__ == "__main__":
    main()
