"""The hub's config, which is among the package's modules; a site has its own below ``config``."""

from __future__ import annotations

import os
from pathlib import Path

from tljh.user_creating_spawner import UserCreatingSpawner

c = get_config()  # type: ignore[name-defined]  # noqa: F821
prefix = Path(os.environ["TLJH_INSTALL_PREFIX"])

c.JupyterHub.spawner_class = UserCreatingSpawner
c.JupyterHub.hub_port = 15001
# Servers are units of their own.
c.JupyterHub.cleanup_servers = False

c.JupyterHub.proxy_class = "traefik_file"
c.TraefikProxy.should_start = False
c.TraefikFileProviderProxy.dynamic_config_file = str(prefix / "state/rules/rules.toml")
c.TraefikProxy.traefik_api_url = "http://127.0.0.1:8099"
c.TraefikProxy.traefik_api_username = "api_admin"
c.TraefikProxy.traefik_api_password = (prefix / "state/traefik-api.secret").read_text().strip()
c.TraefikProxy.traefik_entrypoint = "http"

c.SystemdSpawner.extra_paths = [str(prefix / "user/bin")]
c.SystemdSpawner.default_shell = "/bin/bash"
c.SystemdSpawner.unit_name_template = "jupyter-{USERNAME}"
c.SystemdSpawner.username_template = "jupyter-{USERNAME}"

for site in sorted((prefix / "config/jupyterhub_config.d").glob("*.py")):
    load_subconfig(str(site))  # type: ignore[name-defined]  # noqa: F821
