# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  environment_failures:
    description:
      - What becomes of the upgrade when a single-user environment, not the hub's own, cannot be upgraded.
      - V(fail) forbids the upgrade, V(report) names the environment, which stays as it is, and goes on.
    type: str
    choices: [fail, report]
    default: fail
"""
