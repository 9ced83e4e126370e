# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  allow:
    description:
      - Mismatches that are to be a warning and not a failure.
      - V(other_major) is a single-user server of an older major; V(newer) is one newer than the hub.
      - 1.x and later majors never work together, whatever is allowed.
    type: list
    elements: str
    choices: [other_major, newer]
    default: []
"""
