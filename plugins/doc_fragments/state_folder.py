# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  state_folder:
    description:
      - Folder on the hub's host in which runs and recovery points are kept, one folder per deployment.
      - V(/var/lib/hubops) for root and C(~/.local/state/hubops) for other users, unless given.
    type: path
"""
