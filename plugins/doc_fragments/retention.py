# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  keep:
    description: How many recovery points to keep.
    type: int
    default: 5
  keep_days:
    description: Days after which a recovery point is removed; V(0) for never.
    type: int
    default: 0
"""
