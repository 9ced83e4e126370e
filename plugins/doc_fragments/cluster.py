# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """The arguments of all modules that reach a hub on Kubernetes."""

    DOCUMENTATION = r"""
options:
  release:
    description: The Helm release; the only one of the chart C(jupyterhub), when empty.
    type: str
    default: ""
  namespace:
    description: Its namespace; all are looked at, when empty.
    type: str
    default: ""
  kubeconfig:
    description: File on the module's host with the access to the cluster; kubectl's own, when empty.
    type: path
    default: ""
  context:
    description: The context in it; the current one, when empty.
    type: str
    default: ""
  helm:
    description: The program of Helm 3.16 or newer, or 4, on the host that the module runs on.
    type: str
    default: helm
  kubectl:
    description: The program kubectl, on the host that the module runs on.
    type: str
    default: kubectl
"""
