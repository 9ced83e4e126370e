#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_rebuild
short_description: Rebuilds the environments of a JupyterHub whose Python is gone, at the same versions
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - An upgrade of the operating system takes away the interpreter that a venv was made for, or puts another
    one in its place. Then the hub does not start any more, or its users' servers do not.
  - Each such environment is built again beside the old one, for an interpreter that the host has, with the
    same packages at the same versions, or the nearest that this interpreter runs. Files that belong to no
    package are copied. Then the two are exchanged, and the old one is kept.
  - Environments that can run are not touched. The hub is not started.
notes:
  - Recovery points from before are refused afterwards, since their environments cannot run either. Make a
    new one.
extends_documentation_fragment:
  - hubops.jupyterhub.installer
  - hubops.jupyterhub.service
  - hubops.jupyterhub.progress_file
  - hubops.jupyterhub.attributes
attributes:
  diff_mode:
    description: Shows the packages that have another version.
    support: full
options:
  config_file:
    description: The hub's config file, where it cannot be read from the service's command.
    type: path
    default: ""
  hub_environment:
    description: The hub's environment, where it cannot be read from the service's command.
    type: path
    default: ""
  user_environments:
    description: Paths and globs of single-user environments besides the one of the spawner's command.
    type: list
    elements: str
    default: []
  python:
    description:
      - Interpreter to use.
      - By default that of the environment's own minor version where the host has it, else C(python3) or the
        newest, of those that the environment's JupyterHub runs on.
    type: path
    default: ""
"""

EXAMPLES = r"""
- name: Rebuild what cannot run after the upgrade to the next Debian
  hubops.jupyterhub.jupyterhub_rebuild:
"""

RETURN = r"""
environments:
  description: What was rebuilt, or would be; empty where all environments can run.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where the environment is used from.
      type: str
      sample: /opt/jupyterhub
    fault:
      description: Why it could not run.
      type: str
      sample: its interpreter /usr/bin/python3.11 is gone
    jupyterhub:
      description: Its JupyterHub, before and after.
      type: str
      sample: 5.4.6
    python:
      description: The interpreter that the new one is for.
      type: str
      sample: /usr/bin/python3
    aside:
      description: Where the old one is kept.
      type: str
      sample: /opt/jupyterhub.broken-20261120T211500Z
    changes:
      description: Packages of another version, V(null) for not installed; not known in check mode.
      type: list
      elements: dict
      sample: [{name: cffi, from: 1.15.1, to: 1.17.1}]
    warnings:
      description: What an administrator should know.
      type: list
      elements: str
      sample: ["cffi 1.15.1 became 1.17.1 for the new Python."]
messages:
  description: The same for people.
  returned: success
  type: list
  elements: str
  sample: ["/opt/jupyterhub (JupyterHub 5.4.6): its interpreter /usr/bin/python3.11 is gone. Rebuilt ..."]
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 21.4
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import rebuilding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict


def rebuild(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Rebuild what cannot run, or say what that is."""
    wanted = rebuilding.Wanted(
        service=params["service"],
        config_file=params["config_file"],
        hub_environment=params["hub_environment"],
        user_environments=tuple(params["user_environments"]),
        python=params["python"],
    )
    options = InstallerOptions(
        installer=params["installer"],
        index_url=params["index_url"],
        constraints=params["constraints"],
        wheels=params["wheels"],
    )
    progress = Progress(None if check else params["progress_file"])
    done = rebuilding.rebuild(wanted, options, progress, check)
    return {
        "changed": bool(done),
        "environments": [to_dict(each) for each in done],
        "messages": [_message(each, check) for each in done] or ["All environments can run."],
        "diff": [_diff(each) for each in done if each.changes],
        "warnings": sorted({line for each in done for line in each.warnings}),
    }


def _message(each: rebuilding.Rebuilt, check: bool) -> str:
    done = (
        f"Would be rebuilt for {each.python}."
        if check
        else f"Rebuilt for {each.python}; the old one is {each.aside}."
    )
    return f"{each.path} (JupyterHub {each.jupyterhub}): {each.fault}. {done}"


def _diff(each: rebuilding.Rebuilt) -> dict[str, str]:
    def lines(versions: list[tuple[str, str | None]]) -> str:
        return "".join(f"{name}=={version}\n" for name, version in versions if version)

    return {
        "before_header": f"{each.path} packages",
        "after_header": f"{each.path} packages",
        "before": lines([(change.name, change.from_) for change in each.changes]),
        "after": lines([(change.name, change.to) for change in each.changes]),
    }


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            **arguments.SERVICE,
            config_file=dict(type="path", default=""),
            hub_environment=dict(type="path", default=""),
            user_environments=dict(type="list", elements="str", default=[]),
            python=dict(type="path", default=""),
            **arguments.INSTALLER,
            **arguments.PROGRESS_FILE,
        ),
        rebuild,
    )


if __name__ == "__main__":
    main()
