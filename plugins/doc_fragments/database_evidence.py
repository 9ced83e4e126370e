# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """What there is of a database that cannot be dumped."""

    DOCUMENTATION = r"""
options:
  database_evidence:
    description: What there is of a database on a server that cannot be dumped. It is kept with the recovery
      point, and told when a restore waits for it. Nothing of the database is copied then.
    type: dict
    suboptions:
      what:
        description: What it is, such as the name of a snapshot.
        type: str
        required: true
      when:
        description: Of when it is.
        type: str
        required: true
      restore:
        description: How it is restored.
        type: str
        required: true
"""
