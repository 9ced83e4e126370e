#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_wheelhouse
short_description: Downloads the wheels of a fleet's upgrades, each once
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Runs where an index can be reached, which is the controller as a rule. Hubs that need the same are looked
    up once, and a wheel that is there is not downloaded again.
  - Versions are resolved by uv, which is fetched into O(folder) where the machine has none, for the Python
    and the platform of each hub; pip downloads. The configuration of pip on this machine holds.
  - Only wheels are taken. One that had to be built can be put into O(folder), where it is found.
  - Makes one archive for all hubs that get the same wheels.
extends_documentation_fragment:
  - hubops.jupyterhub.attributes
attributes:
  check_mode:
    description: Can run in check mode and say what it would change.
    support: partial
    details: Downloads nothing, and says nothing about the hubs.
options:
  folder:
    description: Where the wheels are kept.
    type: path
    required: true
  needs:
    description:
      - What hubs need, RV(hubops.jupyterhub.jupyterhub_wheels_info#module:needs) by host.
    type: dict
    required: true
  index_url:
    description: Package index to use instead of this machine's own configuration. It may hold credentials.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Download once what all hubs are going to get
  hubops.jupyterhub.jupyterhub_wheelhouse:
    folder: /var/cache/hubops/wheels
    needs:
      hub1.example.org: "{{ hostvars['hub1.example.org'].wanted.needs }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
downloaded:
  description: Wheels that were not there.
  returned: success
  type: list
  elements: str
  sample: [jupyterhub-6.1.1-py3-none-any.whl]
parcels:
  description: The wheels of each hub, by host.
  returned: success
  type: dict
  contains:
    id:
      description: The same for the same wheels.
      type: str
      sample: 0a1b2c3d4e5f6071
    archive:
      description: The file that has them.
      type: str
      sample: /var/cache/hubops/wheels/archives/0a1b2c3d4e5f6071.tar
    wheels:
      description: Their names.
      type: list
      elements: str
      sample: [jupyterhub-6.1.1-py3-none-any.whl]
    bytes:
      description: Their size.
      type: int
      sample: 14680064
    problem:
      description: Why a hub has none; else empty.
      type: str
      sample: ""
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 5.1
"""

from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import wheelhouse
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.wheel_need import WheelNeed
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict


def filled(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Have the wheels that hubs need."""
    needs = {
        host: [from_dict(WheelNeed, each) for each in several] for host, several in params["needs"].items()
    }
    if check:
        return {"changed": False, "downloaded": [], "parcels": {}}
    options = InstallerOptions(index_url=params["index_url"])
    done = wheelhouse.fill(needs, Path(params["folder"]), options)
    parcels = {host: to_dict(parcel) for host, parcel in done.parcels.items()}
    return {"changed": bool(done.downloaded), "downloaded": list(done.downloaded), "parcels": parcels}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        {
            "folder": {"type": "path", "required": True},
            "needs": {"type": "dict", "required": True},
            "index_url": {"type": "str", "default": "", "no_log": True},
        },
        filled,
    )


if __name__ == "__main__":
    main()
