#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: nebari_export
short_description: Writes down what a Nebari has of its users
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Reads users and groups from the site's Keycloak, environments from its config, and homes from a backup of
    the shared volume, and writes them into one file of JSON. No passwords are in it.
  - Nothing of the site is changed. Environments that were made in conda-store itself are not in the config,
    and so not in the file.
options:
  folder:
    description: Folder with C(nebari-config.yaml).
    type: path
    required: true
  path:
    description: The file, for its owner alone.
    type: path
    required: true
  keycloak_password:
    description: The password of Keycloak's administrator.
    type: str
    required: true
  keycloak_url:
    description: The site's Keycloak; C(/auth) of the site's domain unless given.
    type: str
    default: ""
  keycloak_user:
    description: Keycloak's administrator, of the realm C(master).
    type: str
    default: root
  keycloak_realm:
    description: The realm of the site's users.
    type: str
    default: nebari
  validate_certs:
    description: Whether Keycloak's certificate is checked.
    type: bool
    default: true
  keycloak_backup:
    description: A plain dump of Keycloak's PostgreSQL database. It has to be whole and to have all users.
    type: path
    default: ""
  user_data:
    description: A tar of the shared volume, for the list of homes; without it there is none.
    type: path
    default: ""
attributes:
  check_mode:
    description: Can run in check mode and say whether the file would change.
    support: full
  diff_mode:
    description: Shows what would change.
    support: none
"""

EXAMPLES = r"""
- name: Write down who is there, with which groups, homes and environments
  hubops.jupyterhub.nebari_export:
    folder: /srv/nebari
    path: /backups/nebari.json
    keycloak_password: "{{ vault_keycloak_root }}"
    keycloak_backup: /backups/keycloak-backup.sql
    user_data: /backups/home.tar
"""

RETURN = r"""
message:
  description: What was found.
  returned: always
  type: str
  sample: 12 users and 5 groups
evidence:
  description: How many of each there are; C(keycloak_backup_users) are those of the backup.
  returned: always
  type: dict
  sample: {"users": "12", "groups": "5", "homes": "14", "environments": "3", "keycloak_backup_users": "12"}
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 1.2
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import nebari_export
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict


def export(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Write the file."""
    done = nebari_export.export(from_dict(nebari_export.Wanted, params), check)
    return {"changed": done.changed, "message": done.message, "evidence": done.evidence}


def main() -> None:
    """Arguments, call, result."""
    spec = {
        "folder": {"type": "path", "required": True},
        "path": {"type": "path", "required": True},
        "keycloak_password": {"type": "str", "required": True, "no_log": True},
        "keycloak_url": {"type": "str", "default": "", "no_log": False},
        "keycloak_user": {"type": "str", "default": "root", "no_log": False},
        "keycloak_realm": {"type": "str", "default": "nebari", "no_log": False},
        "validate_certs": {"type": "bool", "default": True},
        "keycloak_backup": {"type": "path", "default": ""},
        "user_data": {"type": "path", "default": ""},
    }
    arguments.run(spec, export)


if __name__ == "__main__":
    main()
