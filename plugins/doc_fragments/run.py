# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """What a module that takes a step of an upgrade has in common with the others."""

    DOCUMENTATION = r"""
options:
  run:
    description:
      - The run that this task belongs to, as RV(hubops.jupyterhub.jupyterhub_run#module:run) names it.
      - The step is recorded on the host. A step that was taken already returns its record. A step that comes
        too late, since the guard has restored the old hub, is refused.
      - Without it the task stands alone, and is refused while a run is under way, which is returned as
        RV(hubops.jupyterhub.jupyterhub_run#module:other).
    type: str
    default: ""
"""
