# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """What a module that acts on a deployment has in common with the others."""

    DOCUMENTATION = r"""
options:
  deployment:
    description: The deployment, as RV(hubops.jupyterhub.jupyterhub_info#module:deployment) describes it.
    type: dict
    required: true
"""
