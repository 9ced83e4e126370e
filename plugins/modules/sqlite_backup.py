#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: sqlite_backup
short_description: Copies a SQLite database while it is in use, and proves the copy
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Copies with SQLite's online backup interface, so rows that are still in a C(-wal) file are in the copy,
    and the copy is one moment of the database.
  - The copy gets its name only after its integrity was checked and it is on the disk. When anything fails,
    nothing is left behind, and an older copy of that name is still there.
  - Where a copy with the same content is there already, nothing is changed.
  - A writer of a database in WAL mode is not held up. In the older journal modes its commits wait for the
    copy, as they do for any reader.
extends_documentation_fragment:
  - hubops.jupyterhub.attributes
attributes:
  check_mode:
    description:
      - Can run in check mode and say what it would change. It reads the database, and writes nothing.
    support: full
  diff_mode:
    description:
      - Shows checksum, size and number of rows before and after; not in check mode, which makes no copy.
    support: partial
options:
  src:
    description: The database. A relative path begins in O(directory), a link is followed.
    type: path
    required: true
  dest:
    description: The copy's path; its folder must exist. A relative path begins in O(directory).
    type: path
    required: true
  directory:
    description:
      - Absolute path of the folder in which relative paths begin, such as the hub's working directory.
    type: path
  timeout:
    description: Seconds to wait while another process has the database locked.
    type: float
    default: 10
  force:
    description: Whether to make a new copy also when the content is unchanged.
    type: bool
    default: false
  owner:
    description: User that the copy shall belong to, by name or number.
    type: str
  group:
    description: Group that the copy shall belong to, by name or number.
    type: str
  mode:
    description:
      - Permissions of the copy, in octal. The database holds people's names and hashes of their tokens.
    type: str
    default: "0600"
"""

EXAMPLES = r"""
- name: Copy the hub's database while the hub is running
  hubops.jupyterhub.sqlite_backup:
    src: /srv/jupyterhub/jupyterhub.sqlite
    dest: /var/backups/jupyterhub.sqlite
  register: jupyterhub_copy

- name: Copy a database that the hub's config names by a relative path
  hubops.jupyterhub.sqlite_backup:
    src: jupyterhub.sqlite
    dest: /var/backups/jupyterhub.sqlite
    directory: /srv/jupyterhub
    timeout: 60
"""

RETURN = r"""
path:
  description: The copy.
  returned: success
  type: str
  sample: /var/backups/jupyterhub.sqlite
sha256:
  description: SHA-256 of the copy.
  returned: success, not in check mode
  type: str
  sample: 572baa7069e9579c40896a71fae71d4f6a92d4e278f27b8d140a6413f8271bc4
bytes:
  description: Size of the copy; in check mode, of the database.
  returned: success
  type: int
  sample: 532480
rows:
  description: Number of rows of each table.
  returned: success
  type: dict
  sample: {users: 200, api_tokens: 40}
revision:
  description: The database's alembic revision; null where it has none.
  returned: success
  type: str
  sample: f460b0348206
broken_references:
  description:
    - Number of rows that refer to a row that does not exist, by table. SQLite calls this a violated foreign
      key; it is reported and does not make a copy fail.
  returned: success, not in check mode
  type: dict
  sample: {}
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.03
"""

import grp
import pwd
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import sqlite
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import files


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Copy, or say whether that is a change."""
    source = absolute(params["src"], params["directory"])
    destination = absolute(params["dest"], params["directory"])
    mode = permissions(params["mode"])
    owner = owner_of(params["owner"], params["group"])
    timeout, force = params["timeout"], params["force"]
    if check:
        found = sqlite.inspect(source, timeout)
        return {
            "changed": force
            or sqlite.would_change(source, destination, timeout=timeout, owner=owner, mode=mode),
            "path": str(destination),
            "bytes": found.bytes,
            "rows": found.rows,
            "revision": found.revision,
        }
    before = describe(destination)
    made = sqlite.backup(source, destination, timeout=timeout, force=force, owner=owner, mode=mode)
    return {
        **made._asdict(),
        "path": str(made.path),
        "diff": {"before": before, "after": describe(made.path)},
    }


def absolute(path: str, directory: str | None) -> Path:
    """A path as it is, or below ``directory``; relative to nothing is refused."""
    if not Path(directory or path).is_absolute():
        raise HubError(
            f"{directory or path} is a relative path.",
            "Name the folder in which it begins (directory), by an absolute path.",
        )
    return Path(directory or "/", path)


def owner_of(user: str | None, group: str | None) -> tuple[int, int] | None:
    """User and group as numbers, -1 for as it is; None when neither was given."""
    if user is None and group is None:
        return None
    try:
        uid = -1 if user is None else int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        gid = -1 if group is None else int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise HubError(
            f"There is no such user or group: {error.args[0]}.", "Name one that the host has."
        ) from error
    return uid, gid


def permissions(text: str) -> int:
    """The number that an octal mode stands for."""
    try:
        return int(text, 8)
    except ValueError as error:
        raise HubError(f"{text} is not an octal mode.", "Use one such as 0600.") from error


def describe(path: Path) -> str:
    """A copy's size and checksum, for the diff."""
    return f"{path.stat().st_size} bytes, sha256 {files.sha256(path)}\n" if path.is_file() else ""


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            src=dict(type="path", required=True),
            dest=dict(type="path", required=True),
            directory=dict(type="path"),
            timeout=dict(type="float", default=10),
            force=dict(type="bool", default=False),
            owner=dict(type="str"),
            group=dict(type="str"),
            mode=dict(type="str", default="0600"),
        ),
        apply,
    )


if __name__ == "__main__":
    main()
