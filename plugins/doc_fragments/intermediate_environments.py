# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  intermediate_environments:
    description:
      - Environments with releases in between, in the order in which the database is migrated with them before
        O(environment). One that lies behind is left out.
    type: list
    elements: path
    default: []
"""
