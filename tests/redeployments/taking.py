"""Takes a step in a process of its own: ``python -m tests.redeployments.taking SITE.json STEP``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Site
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict

site = from_dict(Site, json.loads(Path(sys.argv[1]).read_text()))
try:
    print(redeployment.take(site, sys.argv[2]).message)
except HubError as error:
    print(error)
