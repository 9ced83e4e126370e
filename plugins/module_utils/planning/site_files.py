"""Files of the hub and the site that lie within an environment, where an exchange would make them old."""

from __future__ import annotations

import os
from typing import Iterable

from ..deployment.model import Deployment


def written(deployment: Deployment, state_folder: str) -> dict[str, str]:
    """``{path: setting that names it}`` of what is written while the hub serves."""
    named = dict(deployment.config.written)
    if deployment.database.path:
        named["c.JupyterHub.db_url"] = deployment.database.path
    if deployment.secrets.cookie_secret_source == "file":
        named["c.JupyterHub.cookie_secret_file"] = deployment.secrets.cookie_secret_file.path
    if deployment.service.log_file:
        named["the service's log"] = deployment.service.log_file
    named["jupyterhub_state_folder"] = state_folder
    return {path: setting for setting, path in sorted(named.items())}


def read(deployment: Deployment) -> list[str]:
    """Files that the hub and its service manager only read, and folders of templates."""
    config, service = deployment.config, deployment.service
    named = [*config.files, *config.template_folders, *deployment.secrets.files]
    named += [*service.environment_files, *([service.unit_file] if service.unit_file else [])]
    return sorted(set(named))


def within(environment: str, paths: Iterable[str]) -> list[str]:
    """Those of the paths that lie within an environment, whatever links lead to them."""
    root = os.path.realpath(environment)
    return [path for path in paths if os.path.realpath(path).startswith(f"{root}{os.sep}")]
