#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_database
short_description: Migrates a JupyterHub's database, and prepares that while the hub serves
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Does what C(jupyterhub upgrade-db) does, as the service's user in the service's directory, to exactly the
    file that the deployment names, and reads revision and row counts back from it.
  - Starting Python and loading the hub takes seconds, the migration itself a fraction of one. V(prepared)
    does the slow part before the outage, and rehearses the migration on a copy of the database.
  - SQLite only.
extends_documentation_fragment:
  - hubops.jupyterhub.deployment
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.run
  - hubops.jupyterhub.intermediate_environments
  - hubops.jupyterhub.attributes
attributes:
  diff_mode:
    description: Shows the database's revision before and after.
    support: full
options:
  state:
    description:
      - V(prepared) starts a process that has loaded the environment's hub and waits for its word. It ends by
        itself after O(wait). It needs no path, so the environment may be renamed in the meantime.
      - V(migrated) brings the database to the environment's revision, through the prepared process where
        there is one. The hub must be stopped.
      - V(abandoned) ends a process that waits.
    type: str
    choices: [prepared, migrated, abandoned]
    default: migrated
  environment:
    description:
      - Path of the Python environment whose hub migrates. The deployment's hub environment, unless given.
    type: path
  wait:
    description: Seconds without a word after which a prepared process ends by itself.
    type: int
    default: 900
  timeout:
    description: Seconds that the migration may take.
    type: int
    default: 1800
"""

EXAMPLES = r"""
- name: Load the new hub and rehearse the migration, while the old one serves
  hubops.jupyterhub.jupyterhub_database:
    deployment: "{{ jupyterhub_deployment }}"
    state: prepared
    environment: /opt/jupyterhub.staged-6.1.1

- name: Migrate the stopped hub's database
  hubops.jupyterhub.jupyterhub_database:
    deployment: "{{ jupyterhub_deployment }}"
    state: migrated
"""

RETURN = r"""
from_revision:
  description: Revision before; null where no hub had stamped the database.
  returned: state=migrated
  type: str
  sample: 0eee8c825d24
to_revision:
  description: Revision that the environment's hub needs, and the database has now.
  returned: state=migrated
  type: str
  sample: f460b0348206
rows_before:
  description: Number of rows of each table before.
  returned: state=migrated, not in check mode
  type: dict
  sample: {users: 200, api_tokens: 40}
rows_after:
  description: Number of rows of each table after.
  returned: state=migrated, not in check mode
  type: dict
  sample: {users: 200, api_tokens: 40}
seconds:
  description: How long it took; for V(migrated), the migration alone, without any start of Python.
  returned: always
  type: float
  sample: 0.045
prepared:
  description: Whether a prepared process did it; for V(prepared), whether one waits now.
  returned: state=migrated or state=prepared, not in check mode
  type: bool
  sample: true
"""

from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration, schema
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.kept_database import of_run
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder


def apply(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do what ``state`` asks for, or say what it would change."""
    deployment = from_dict(Deployment, params["deployment"])
    folder = state_folder(deployment.name, params["state_folder"])
    environment = params["environment"] or deployment.hub_environment.path
    if check:
        result = foresee(deployment, environment, folder, params["state"])
    else:
        result = act(deployment, environment, folder, params)
    if "to_revision" in result:
        before, after = result["from_revision"], result["to_revision"]
        result["diff"] = {"before": f"revision {before}\n", "after": f"revision {after}\n"}
    return result


def foresee(deployment: Deployment, environment: str, folder: Path, wanted: str) -> dict[str, Any]:
    """What would be changed; nothing is."""
    if wanted == "abandoned":
        return {"changed": migration.is_waiting(folder)}
    if not Path(environment).exists():
        # It is going to be staged by a task that check mode left out.
        return {"changed": True}
    if wanted == "prepared":
        return {"changed": not migration.is_prepared(environment, folder)}
    before = of_run(folder, deployment).contents().revision
    after = schema.head_revision(environment)
    return {"changed": before != after, "from_revision": before, "to_revision": after}


def act(deployment: Deployment, environment: str, folder: Path, params: dict[str, Any]) -> dict[str, Any]:
    """Do it."""
    if params["state"] == "abandoned":
        return {"changed": migration.abandon(folder)}
    database, context = of_run(folder, deployment), service_of(deployment.service).context()
    if params["state"] == "prepared":

        def prepare() -> dict[str, Any]:
            changed = migration.prepare(
                database,
                context,
                environment,
                folder,
                intermediate=params["intermediate_environments"],
                wait=params["wait"],
                timeout=params["timeout"],
            )
            return {"changed": changed, "prepared": True}

        return journal.prepare(folder, params["run"], "prepare", prepare)

    def migrate() -> dict[str, Any]:
        done = migration.migrate(
            database,
            context,
            environment,
            folder,
            intermediate=params["intermediate_environments"],
            timeout=params["timeout"],
        )
        return done._asdict()

    # It may take minutes. One that waits for a lock may take for ever, and is not alive.
    return journal.step(folder, params["run"], "migrate", migrate, progress=database.progress)


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.DEPLOYMENT,
            **arguments.STATE_FOLDER,
            **arguments.RUN,
            state=dict(type="str", choices=["prepared", "migrated", "abandoned"], default="migrated"),
            environment=dict(type="path"),
            **arguments.INTERMEDIATE_ENVIRONMENTS,
            wait=dict(type="int", default=900),
            timeout=dict(type="int", default=1800),
        ),
        apply,
    )


if __name__ == "__main__":
    main()
