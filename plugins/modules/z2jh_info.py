#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: z2jh_info
short_description: Finds a JupyterHub that is a Helm release of Zero to JupyterHub
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Finds the release, its revision that serves, chart and JupyterHub, database, images, users' servers, the
    volumes of each person, and who else upgrades it.
  - Runs where C(kubectl) and C(helm) are, usually on the controller. Only reads. No values of the release are
    returned, since they hold secrets.
extends_documentation_fragment:
  - hubops.jupyterhub.cluster
  - hubops.jupyterhub.attributes.reads
"""

EXAMPLES = r"""
- name: Find the hub in the cluster of the current context
  hubops.jupyterhub.z2jh_info:
  register: found
"""

RETURN = r"""
release:
  description: The release.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: jhub
    namespace:
      description: Its namespace.
      type: str
      sample: jhub
    revision:
      description: The newest revision.
      type: int
      sample: 4
    state:
      description: The newest revision's state, as Helm says it.
      type: str
      sample: deployed
    deployed_revision:
      description: The revision that serves, which is an older one after a failed or a killed upgrade.
      type: int
      sample: 4
    chart_version:
      description: The chart of the revision that serves.
      type: str
      sample: 3.3.8
    jupyterhub_version:
      description: The JupyterHub of that chart.
      type: str
      sample: 4.1.6
    database:
      description: Where the hub keeps its state.
      type: dict
      contains:
        kind:
          description: V(sqlite-pvc), V(sqlite-memory), V(mysql), V(postgres) or V(other).
          type: str
          sample: sqlite-pvc
        url:
          description: Its URL without password, where the values have one.
          type: str
          sample: ""
        claim:
          description: The claim of the hub's volume.
          type: str
          sample: hub-db-dir
    hub:
      description: The hub's deployment.
      type: str
      sample: hub
    hub_image:
      description: The image that it runs.
      type: str
      sample: quay.io/jupyterhub/k8s-hub:3.3.8
    hub_ready:
      description: Whether it has a ready pod.
      type: bool
      sample: true
    single_user_images:
      description: Images that users' servers can be started from, by the values.
      type: list
      elements: str
      sample: ["quay.io/jupyterhub/k8s-singleuser-sample:3.3.8"]
    servers:
      description: Users' servers that run or start.
      type: list
      elements: dict
      contains:
        user:
          description: Whose it is.
          type: str
          sample: ada
        server:
          description: The name of a named server; empty for the default one.
          type: str
          sample: ""
        pod:
          description: Its pod.
          type: str
          sample: jupyter-ada
        phase:
          description: The pod's phase.
          type: str
          sample: Running
        image:
          description: Its image.
          type: str
          sample: quay.io/jupyterhub/k8s-singleuser-sample:3.3.8
        digest:
          description: Of the image that it runs; empty where the cluster does not say.
          type: str
          sample: "sha256:0123456789abcdef..."
        claims:
          description: The claims that it has mounted.
          type: list
          elements: str
          sample: [claim-ada]
        created:
          description: When its pod was made, in UTC.
          type: str
          sample: "2026-11-30T12:49:38Z"
    volumes:
      description: Each person's claims of volumes.
      type: list
      elements: dict
      contains:
        user:
          description: Whose it is.
          type: str
          sample: ada
        server:
          description: The name of a named server; empty for the default one.
          type: str
          sample: ""
        claim:
          description: The claim.
          type: str
          sample: claim-ada
        size:
          description: What it asks for.
          type: str
          sample: 10Gi
        storage_class:
          description: Its storage class.
          type: str
          sample: standard
        volume:
          description: The volume that it is bound to.
          type: str
          sample: pvc-0f3c7d1e-1e5c-4f0a-9c8f-4a0f3a9d2b11
        phase:
          description: V(Bound), V(Pending) or V(Lost).
          type: str
          sample: Bound
    owner:
      description: Who else upgrades the release, by its labels; empty where that is nobody.
      type: str
      sample: Flux, HelmRelease flux-system/jhub
    history:
      description: The revisions that Helm has kept, oldest first.
      type: list
      elements: dict
      contains:
        number:
          description: The revision.
          type: int
          sample: 4
        state:
          description: Its state.
          type: str
          sample: deployed
        chart_version:
          description: Its chart.
          type: str
          sample: 3.3.8
        jupyterhub_version:
          description: Its JupyterHub.
          type: str
          sample: 4.1.6
        updated:
          description: When it was made.
          type: str
          sample: "2026-11-20T21:15:00.123456789Z"
        description:
          description: What Helm says of it.
          type: str
          sample: Upgrade complete
    kubernetes_version:
      description: The cluster's version.
      type: str
      sample: v1.34.2
    values:
      description: Always empty; the release's values hold secrets.
      type: dict
      sample: {}
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 1.4
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import find


def found(params: dict[str, Any], _check: bool) -> dict[str, Any]:
    """The release."""
    release = find(Access.from_params(params), params["release"])
    return {"changed": False, "release": to_dict(release.without_values())}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(arguments.CLUSTER, found)


if __name__ == "__main__":
    main()
