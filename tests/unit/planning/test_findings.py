"""Each finding, found where it should be and nowhere else; and the list of them in docs/findings.md."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.drivers import drivers_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.server_images import (
    ServerImage,
    StaleContainer,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.facts import Obstacle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import planner
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.basis import FailedUpgrade
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings import kinds as findings
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import (
    Finding,
    listing,
    sentence,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.found_host import FoundHost
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import make_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import (
    Host,
    Policy,
    Resolution,
    Target,
    bytes_needed,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.window import Window

from tests import REPOSITORY
from tests.healthy_hub import DEPLOYMENT, GIBIBYTE, HUB, TARGET, USERS, upgraded
from tests.healthy_hub import deployment as hub
from tests.healthy_hub import host as machine
from tests.plans import planned_environment

DATABASE = "/srv/jupyterhub/jupyterhub.sqlite"
WEEKEND = Window(("sat", "sun"), "22:00", 4)
PROXY: dict[str, Any] = DEPLOYMENT["proxy"]["program"]
CONFIG = "/etc/jupyterhub/jupyterhub_config.py"
PAM = {"class_name": "jupyterhub.auth.PAMAuthenticator", "package": "jupyterhub", "decides_itself": False}


IMAGES: dict[str, Any] = {
    "image": "hub/user:6.1",
    "tag_follows_hub": False,
    "choices": [],
    "any_image": False,
    "computed": False,
    "removes": False,
    "name_begins": "jupyter-",
    "pull_policy": "ifnotpresent",
}
IN_CONTAINERS = hub(spawner__images=IMAGES)
STALE = [
    StaleContainer("jupyter-ada", "sha256:5d0da3dc976460", "JupyterHub 4.1.6", running=False),
    StaleContainer("jupyter-bob", "sha256:1f", "an earlier image than a new one's", running=True),
]


class Case(NamedTuple):
    """One fault of an otherwise healthy hub, and the expected finding."""

    id: str
    found: str
    deployment: Deployment = hub()
    target: Target = TARGET
    host: Host = machine()
    policy: Policy = Policy()
    others: tuple[FoundHost, ...] = ()


#: What the upgrade of the healthy hub starts from.
BASIS = make_plan(hub(), TARGET, machine(), Policy()).basis


def failed(basis: str) -> FailedUpgrade:
    return FailedUpgrade(basis, "20261120T211500Z", "2026-11-20T21:15:30+00:00", "The hub exited.")


SERVER = "postgresql://hub:***@db/hub"


def on_server(driver: str = "", **server: Any) -> Deployment:
    """A healthy hub with a PostgreSQL database, and what is known of its server."""
    clients = dict.fromkeys(("psql", "pg_dump", "pg_restore"), "15.13")
    known = {"product": "PostgreSQL", "version": "15.13", "clients": clients, "by_copy": True, **server}
    database = {
        **DEPLOYMENT["database"],
        "kind": "postgresql",
        "url": SERVER.replace("://", f"+{driver}://") if driver else SERVER,
        "path": None,
        "writable": None,
        "server": known,
        "driver": driver,
    }
    return hub(database=database)


CASES = [
    Case(
        "failed-before",
        "Run 20261120T211500Z was undone at 2026-11-20T21:15:30+00:00: The hub exited.",
        host=machine(failed=failed(BASIS)),
    ),
    Case(
        "known-bad-target",
        "JupyterHub 5.4.1 is known to be bad: it mishandles stopped servers when it starts "
        "(https://github.com/jupyterhub/jupyterhub/pull/5236).",
        target=Target("5.4.1", ">=3.8", "4621fec11365"),
    ),
    Case(
        "target-not-available",
        "JupyterHub 99.9.9 does not exist on the index.",
        target=Target("99.9.9", problem="JupyterHub 99.9.9 does not exist on the index."),
    ),
    Case(
        "downgrade",
        "The hub runs JupyterHub 4.1.6, which is newer than 3.1.1.",
        target=Target("3.1.1", ">=3.7", "651f5419b74d"),
    ),
    Case(
        "python-too-old",
        "JupyterHub 6.1.1 needs Python >=3.12, /opt/jupyterhub has 3.11.2.",
        target=Target("6.1.1", ">=3.12", "f460b0348206"),
    ),
    Case(
        "database-missing",
        "The hub's database /srv/jupyterhub/jupyterhub.sqlite does not exist.",
        hub(database__exists=False),
    ),
    Case(
        "database-not-supported",
        "The database sqlite:///jupyterhub.sqlite is none of: mysql, postgresql, sqlite.",
        hub(database__kind="other"),
    ),
    Case(
        "database-clients-missing",
        "PostgreSQL's pg_dump, pg_restore are not on this host.",
        on_server(clients={"psql": "15.13", "pg_dump": "", "pg_restore": ""}),
    ),
    Case(
        "database-clients-too-old",
        f"The server of {SERVER} has version 18.1, the clients of this host have 15.13.",
        on_server(version="18.1", clients_too_old=True),
    ),
    Case(
        "database-no-copies",
        f"The hub's role may not make databases, so {SERVER} cannot be copied.",
        on_server(no_copies='CREATE DATABASE "hub_hubops_scratch" OWNER "hub";'),
    ),
    Case(
        "database-foreign-tables",
        f"In {SERVER}: users (root's).",
        on_server(foreign_tables=["users (root's)"]),
    ),
    Case(
        "database-foreign-triggers",
        f"In {SERVER}: noticed (root@localhost).",
        on_server(foreign_triggers=["noticed (root@localhost)"]),
    ),
    Case(
        "database-no-restore",
        f"The hub's user lacks privileges on {SERVER}.",
        on_server(no_restore="GRANT TRIGGER ON `hub`.* TO 'hub'@'localhost';"),
    ),
    Case(
        "database-unsafe-tables",
        f"In {SERVER}: users (MyISAM).",
        on_server(unsafe_tables={"users": "MyISAM"}),
    ),
    Case(
        "database-sessions",
        f"Connected to {SERVER}: (psql of root, process 7).",
        on_server(sessions=["psql of root, process 7"]),
    ),
    Case(
        "database-sessions",
        f"Connected to {SERVER}: (psql of root, process 7). The hub's role may not end them.",
        on_server(sessions=["psql of root, process 7"]),
        policy=Policy(database_sessions="end"),
    ),
    Case(
        "database-views",
        f"In {SERVER}: names (reads users).",
        on_server(views=["names (reads users)"]),
    ),
    Case("database-dumped", f"{SERVER} is backed up by a dump.", on_server(by_copy=False)),
    Case(
        "database-driver-unknown",
        "postgresql+asyncpg://hub:***@db/hub is reached with the driver asyncpg.",
        on_server(driver="asyncpg"),
    ),
    Case(
        "database-not-readable",
        "The hub's database /srv/jupyterhub/jupyterhub.sqlite cannot be used: it is locked.",
        hub(database__problem="it is locked."),
    ),
    Case(
        "hub-not-running",
        "The hub's service jupyterhub.service is stopped, so it cannot be checked.",
        hub(service__state="stopped"),
    ),
    Case(
        "environment-not-supported",
        "/opt/jupyterhub is a system environment; what can be staged is: conda, image, venv.",
        hub(hub_environment__kind="system"),
    ),
    Case(
        "not-in-place",
        "/opt/jupyterhub would be upgraded in place.",
        hub(hub_environment__kind="conda"),
        policy=Policy(strategy="in_place"),
    ),
    Case(
        "named-inside",
        f"{HUB}/lib/python3.11/site-packages/site/config.py would be gone from Python 3.13's {HUB}.",
        hub(config__file=f"{HUB}/lib/python3.11/site-packages/site/config.py"),
        host=machine(python_versions={"/usr/bin/python3.13": "3.13.1"}),
        policy=Policy(python="/usr/bin/python3.13"),
    ),
    Case(
        "replaced-by-installer",
        "/opt/tljh/requirements.txt requires jupyterhub>=4,<6.",
        host=machine(requirement_files={"/opt/tljh/requirements.txt": ["# pins", "jupyterhub>=4,<6", "x"]}),
    ),
    Case(
        "servers-elsewhere",
        "SlurmSpawner may start servers on other hosts.",
        hub(spawner__elsewhere=["SlurmSpawner"]),
    ),
    Case(
        "singleuser-host-unknown",
        "On node1: It cannot be reached: no route to host",
        others=(FoundHost("node1", "It cannot be reached: no route to host"),),
    ),
    Case(
        "singleuser-host-without-hub",
        "On node1: It belongs to none of the hubs.",
        others=(FoundHost("node1", "It belongs to none of the hubs.", without_hub=True),),
    ),
    Case(
        "singleuser-host-shares-environment",
        "On node1: /opt/user-env is on a file system of the kind nfs4.",
        others=(FoundHost("node1", environments=(hub().user_environments[0],), shared={USERS: "nfs4"}),),
    ),
    Case(
        "image-built",
        "hubops-built/hub:6.1.1-0f3a was built from the image of jupyterhub.service.",
        host=machine(resolved={HUB: Resolution({}, image="hubops-built/hub:6.1.1-0f3a")}),
    ),
    Case(
        "compose-file",
        "Compose's service hub has the image hub:4 of /srv/compose.yml:3.",
        hub(service__defined_in="Compose's service hub has the image hub:4 of /srv/compose.yml:3."),
    ),
    Case(
        "server-image-missing",
        "hub/user:6.1: it is not on this host.",
        IN_CONTAINERS,
        host=machine(
            server_images=[ServerImage("hub/user:6.1", problem="it is not on this host", default=True)]
        ),
    ),
    Case(
        "server-image-version",
        "The image hub/user:4, 5d0da3dc9764: It has JupyterHub 4.1.6, the hub has 6.1.1: another major.",
        IN_CONTAINERS,
        host=machine(server_images=[ServerImage("hub/user:4", "sha256:5d0da3dc976460", "4.1.6")]),
    ),
    Case(
        "server-image-release",
        "The image hub/user:6, 5d0da3dc9764: It has JupyterHub 6.0.0, the hub has 6.1.1: the same major, "
        "another release.",
        IN_CONTAINERS,
        host=machine(server_images=[ServerImage("hub/user:6", "sha256:5d0da3dc976460", "6.0.0")]),
    ),
    Case(
        "server-image-unknown",
        "Not known: hub/r:1 (it is not on this host), hub/plain:2 (it has no jupyterhub-singleuser).",
        IN_CONTAINERS,
        host=machine(
            server_images=[
                ServerImage("hub/r:1", problem="it is not on this host"),
                ServerImage("hub/plain:2", "sha256:1", problem="it has no jupyterhub-singleuser"),
            ]
        ),
    ),
    Case(
        "server-images-open",
        "Users may name any image: c.DockerSpawner.allowed_images is '*'.",
        hub(spawner__images={**IMAGES, "any_image": True}),
    ),
    Case(
        "stale-containers",
        "2 of users' containers would start again with an old image: jupyter-ada (JupyterHub 4.1.6, image "
        "5d0da3dc9764), jupyter-bob (an earlier image than a new one's, image 1f).",
        IN_CONTAINERS,
        host=machine(stale_containers=STALE),
    ),
    Case(
        "hub-does-not-answer",
        "The hub jupyterhub.service runs. It does not answer at http://127.0.0.1:8081/hub/api.",
        host=machine(unanswered={"hub": "It does not answer at http://127.0.0.1:8081/hub/api."}),
    ),
    Case(
        "proxy-does-not-answer",
        "The hub jupyterhub.service answers. The hub does not answer http://127.0.0.1/hub/api/: refused.",
        host=machine(unanswered={"proxy": "The hub does not answer http://127.0.0.1/hub/api/: refused."}),
    ),
    Case(
        "packages-replaced",
        "The hub jupyterhub.service answers. It is another version.",
        host=machine(unanswered={"version": "It is another version."}),
    ),
    Case(
        "proxy-elsewhere",
        "The hub jupyterhub.service answers. It is elsewhere.",
        host=machine(unanswered={"elsewhere": "It is elsewhere."}),
    ),
    Case(
        "changed-since-start",
        "The hub jupyterhub.service runs as it was started before: a is newer; b is another.",
        host=machine(differences=["a is newer", "b is another"]),
    ),
    Case(
        "synchronized-at-start",
        "jupyterhub.service runs `/usr/bin/uv run --project /srv/hub jupyterhub`.",
        hub(service__command=["/usr/bin/uv", "run", "--project", "/srv/hub", "jupyterhub"]),
    ),
    Case("internal-ssl", f"{CONFIG} sets JupyterHub.internal_ssl.", hub(config__internal_ssl=True)),
    Case(
        "certificate-not-usable",
        "The proxy cannot serve with its certificate: key values mismatch.",
        hub(config__certificate_problem="key values mismatch"),
    ),
    Case(
        "no-permission",
        "Stopping jupyterhub.service needs root, but Ansible runs as ada.",
        host=machine(root=False, user="ada"),
    ),
    Case("not-writable", "/opt is not writable for root.", host=machine(not_writable=["/opt"])),
    Case(
        "no-space",
        "/var/lib/hubops/jupyterhub has 0 MiB free, but the upgrade needs 2 MiB there.",
        host=machine(free_bytes={"/var/lib/hubops/jupyterhub": 1}),
    ),
    Case(
        "no-space",
        "/var/lib/hubops/jupyterhub has 2560 MiB free, but the upgrade needs 3072 MiB there.",
        hub(database__bytes=GIBIBYTE),
        host=machine(free_bytes={"/var/lib/hubops/jupyterhub": 5 * GIBIBYTE // 2}, apart=True),
    ),
    Case(
        "environment-left-out",
        "/opt/user-env stays as it is. /opt/user-env/bin/python is not there or does not run. An upgrade "
        "of the operating system does that to a venv; nothing can be installed into it. Rebuild it at its "
        "own version first (rebuild.yml), or for the upgrade: name an interpreter in jupyterhub_python.",
        host=machine(python_versions={"/opt/user-env/bin/python": ""}),
        policy=Policy(environment_failures="report"),
    ),
    Case(
        "in-place",
        "/opt/jupyterhub is upgraded in place.",
        policy=Policy(strategy="in_place"),
    ),
    Case(
        "link-leads-out",
        "/opt/jupyterhub/share leads out of the environment, to /srv/share.",
        host=machine(links={HUB: [("/opt/jupyterhub/share", "/srv/share")]}),
    ),
    Case(
        "mounted-inside",
        f"{HUB}/data of the environment {HUB} is a mount point.",
        host=machine(mounts={HUB: [f"{HUB}/data"]}),
    ),
    Case(
        "written-inside",
        f"{HUB} has files that are written while the hub serves: {HUB}/jupyterhub.sqlite "
        f"(c.JupyterHub.db_url), {HUB}/secret (c.JupyterHub.cookie_secret_file).",
        host=machine(
            written={
                HUB: {
                    f"{HUB}/jupyterhub.sqlite": "c.JupyterHub.db_url",
                    f"{HUB}/secret": "c.JupyterHub.cookie_secret_file",
                }
            }
        ),
    ),
    Case(
        "no-such-python",
        "The interpreter /usr/bin/python4 does not exist on the host or does not run.",
        host=machine(python_versions={"/usr/bin/python4": ""}),
        policy=Policy(python="/usr/bin/python4"),
    ),
    Case(
        "no-jupyterhub-for-users",
        "/opt/user-env has no jupyterhub.",
        hub(user_environments__jupyterhub=None),
    ),
    Case(
        "version-mismatch",
        "/opt/user-env has jupyterhub 3.1.1, the hub 4.1.6.",
        hub(user_environments__jupyterhub="3.1.1"),
    ),
]

CASES += [
    Case(
        "database-damaged",
        f"The database {DATABASE} is damaged: row 3 missing from index.",
        hub(database__damage="row 3 missing from index"),
    ),
    Case(
        "database-not-a-hubs",
        f"{DATABASE} is not a hub's database: it has no table of users.",
        hub(database__rows={"songs": 3}),
    ),
    Case(
        "database-revision-unknown",
        f"The database {DATABASE} has revision abcdefabcdef, which JupyterHub 6.1.1 does not know.",
        hub(database__revision="abcdefabcdef"),
    ),
    Case(
        "database-half-migrated",
        f"The database {DATABASE} is stamped 0eee8c825d24, but it has roles.managed_by_auth already.",
        hub(database__ahead=["roles.managed_by_auth"]),
    ),
    Case(
        "database-not-writable",
        "The hub's user may not write /srv/jupyterhub.",
        hub(database__writable={DATABASE: True, "/srv/jupyterhub": False}),
    ),
    Case(
        "database-on-network",
        f"The database {DATABASE} is on a network file system (nfs4).",
        hub(database__file_system="nfs4"),
    ),
    Case(
        "database-in-wal-mode",
        f"The database {DATABASE} is in WAL mode.",
        hub(database__journal_mode="wal"),
    ),
    Case(
        "database-broken-references",
        f"Rows of {DATABASE} refer to nothing (oauth_codes: 2, spawners: 1).",
        hub(database__broken_references={"spawners": 1, "oauth_codes": 2}),
    ),
    Case(
        "no-allow-rule",
        f"No option allows any user, with jupyterhub.auth.PAMAuthenticator in {CONFIG}.",
        hub(authenticator={**DEPLOYMENT["authenticator"], **PAM, "allow_rules": [], "admins": False}),
    ),
    Case(
        "allow-rule-unclear",
        f"Only admin_users are named, with ours.Authenticator in {CONFIG}.",
        hub(
            authenticator={
                **DEPLOYMENT["authenticator"],
                **{"class_name": "ours.Authenticator", "package": None, "allow_rules": []},
            }
        ),
    ),
    Case(
        "crypt-key-missing",
        "oauthenticator.github.GitHubOAuthenticator has enable_auth_state, and jupyterhub.service has "
        "neither "
        "JUPYTERHUB_CRYPT_KEY nor CryptKeeper.keys; 0 users have encrypted auth_state.",
        hub(authenticator__auth_state=True),
    ),
    Case(
        "cookie-secret-mode",
        "The cookie secret /srv/secret has mode 0644.",
        hub(secrets__cookie_secret_file={"path": "/srv/secret", "exists": True, "mode": "0644"}),
    ),
    Case(
        "cookie-secret-missing",
        "The cookie secret /srv/secret does not exist.",
        hub(secrets__cookie_secret_file={"path": "/srv/secret", "exists": False, "mode": None}),
    ),
    Case(
        "pkce-required",
        "c.JupyterHub.oauth_require_pkce is True.",
        hub(config__oauth_require_pkce=True),
    ),
    Case(
        "proxy-not-found",
        "configurable-http-proxy is not on the PATH of jupyterhub.service, "
        "/opt/jupyterhub/bin:/usr/bin:/bin.",
        hub(proxy__program={**PROXY, "path": None}),
    ),
    Case(
        "node-not-found",
        "configurable-http-proxy 5.1.0 (/usr/bin/configurable-http-proxy) needs Node.js on the PATH of "
        "jupyterhub.service, /opt/jupyterhub/bin:/usr/bin:/bin: it is not there.",
        hub(proxy__program={**PROXY, "node": None, "node_version": None}),
    ),
    Case(
        "node-too-old",
        "configurable-http-proxy 5.3.0 (/usr/bin/configurable-http-proxy) asks for Node.js >=20, and "
        "/usr/bin/node is 18.20.4.",
        hub(proxy__program={**PROXY, "version": "5.3.0", "engine": None}),
    ),
    Case(
        "proxy-without-tls",
        "/usr/bin/configurable-http-proxy is a Python program, and the config has TLS.",
        hub(proxy__program={**PROXY, "kind": "python"}, config__tls=True),
    ),
]

OLD = Target("2.3.1", ">=3.6", "833da8570507")
SERVICE: dict[str, Any] = {
    "name": "culler",
    "url": None,
    "managed": True,
    "admin": False,
    "token": True,
    "culls": True,
    "oauth": False,
    "oauth_redirect": False,
}
ENOUGH = ["list:users", "read:users:activity", "read:servers", "delete:servers"]


def hub_1(**changes: Any) -> Deployment:
    """The healthy hub, were it of 1.5.1."""
    return hub(hub_environment__jupyterhub="1.5.1", user_environments__jupyterhub="1.5.1", **changes)


def with_packages(packages: dict[str, str], **resolution: Any) -> Host:
    """A host on which the hub's environment would get these packages."""
    return machine(resolved={HUB: Resolution(packages, **resolution)})


def obstructed(id: str, found: str) -> Host:
    """A host on which something is in the way of the hub's environment."""
    return with_packages({}, obstacles=[Obstacle(id, found)])


def role(*scopes: str) -> list[dict[str, Any]]:
    return [{"name": "culler", "scopes": list(scopes), "services": ["culler"]}]


LOGIN = '<form action="{{ login_url }}" method="post"><input name="username"></form>'
SAFE_LOGIN = LOGIN.replace("</form>", '<input type="hidden" name="_xsrf" value="{{ xsrf }}" /></form>')
OPTIONS = {"JupyterHub": ["bind_url", "db_url", "statsd_host"], "Authenticator": ["allow_robots"]}
AFTER = Target(
    "6.1.1", ">=3.10", "f460b0348206", options={"JupyterHub": ["bind_url", "db_url"], "Authenticator": []}
)

CASES += [
    Case(
        "no-conda",
        "No conda, mamba or micromamba was found for /opt/jupyterhub.",
        hub(hub_environment__kind="conda"),
        host=obstructed("no-conda", "No conda, mamba or micromamba was found for /opt/jupyterhub."),
    ),
    Case(
        "conda-pinned",
        "/opt/jupyterhub/conda-meta/pinned has jupyterhub 4.*.",
        hub(hub_environment__kind="conda"),
        host=obstructed("conda-pinned", "/opt/jupyterhub/conda-meta/pinned has jupyterhub 4.*."),
    ),
    Case(
        "environments-inside",
        "/opt/jupyterhub has /opt/jupyterhub/envs/other within it.",
        hub(hub_environment__kind="conda"),
        host=obstructed("environments-inside", "/opt/jupyterhub has /opt/jupyterhub/envs/other within it."),
    ),
    Case(
        "environment-owner",
        "/opt/jupyterhub belongs to the user number 1234, which this host does not know.",
        hub(),
        host=obstructed(
            "environment-owner",
            "/opt/jupyterhub belongs to the user number 1234, which this host does not know.",
        ),
    ),
    Case(
        "interpreter-gone",
        "/opt/user-env/bin/python is not there or does not run.",
        hub(user_environments__python=None),
    ),
    Case(
        "interpreter-changed",
        "/opt/jupyterhub was made for Python 3.11.2, and /opt/jupyterhub/bin/python is 3.13.5.",
        host=machine(python_versions={f"{HUB}/bin/python": "3.13.5"}),
    ),
    Case(
        "packages-conflict",
        "In /opt/jupyterhub: a 1.0 requires b <2, which would be 2.0.",
        host=with_packages({}, conflicts=["a 1.0 requires b <2, which would be 2.0."]),
    ),
    Case(
        "packages-not-available",
        "a<2, b cannot be installed: b needs a>=2",
        host=with_packages({}, problem="a<2, b cannot be installed: b needs a>=2"),
    ),
    Case(
        "packages-not-checked",
        "/opt/jupyterhub: no such option: --dry-run",
        host=with_packages({}, problem="no such option: --dry-run", answered=False),
    ),
    Case(
        "sqlalchemy-too-new",
        "JupyterHub 2.3.1 would get SQLAlchemy 2.0.30, which it does not start with.",
        hub_1(),
        OLD,
        with_packages({"sqlalchemy": "2.0.30"}),
    ),
    Case(
        "database-path-decoded",
        "The database sqlite:////srv/100%25/jupyterhub.sqlite has %25 in its name, and SQLAlchemy 2.0.30 "
        "becomes 2.1.0.",
        hub(
            database__url="sqlite:////srv/100%25/jupyterhub.sqlite",
            hub_environment__packages={"jupyterhub": "4.1.6", "sqlalchemy": "2.0.30"},
        ),
        host=with_packages({"sqlalchemy": "2.1.0"}),
    ),
    Case(
        "database-path-decoded",
        "The database postgresql://hub:***@db/100%25 has %25 in its name, and SQLAlchemy 2.0.30 becomes "
        "2.1.0.",
        hub(
            database__url="postgresql://hub:***@db/100%25",
            hub_environment__packages={"jupyterhub": "4.1.6", "sqlalchemy": "2.0.30"},
        ),
        host=with_packages({"sqlalchemy": "2.1.0"}),
    ),
    Case(
        "database-driver",
        f"psycopg[binary] is added to {HUB}, for {SERVER}.",
        on_server(),
        host=with_packages({"sqlalchemy": "2.1.9", "psycopg2": "2.9.9"}, drivers=drivers_of(SERVER, "2.1.9")),
    ),
    Case(
        "package-too-old",
        "batchspawner 1.2.0 in /opt/jupyterhub does not tell the hub the port of a server "
        "(https://github.com/jupyterhub/batchspawner/issues/277).",
        host=with_packages({"batchspawner": "1.2.0"}),
    ),
    Case(
        "packages-shadowed",
        "The hub imports tornado (/root/.local/tornado/__init__.py).",
        hub(config__shadowed={"tornado": "/root/.local/tornado/__init__.py"}),
    ),
    Case(
        "config-option-gone",
        f"{CONFIG} sets JupyterHub.statsd_host, which JupyterHub 6.1.1 does not know.",
        hub(config__options={"JupyterHub": ["bind_url", "statsd_host"], "KubeSpawner": ["image"]}),
        AFTER,
        machine(options=OPTIONS),
    ),
    Case(
        "allow-option-gone",
        f"{CONFIG} sets Authenticator.allow_robots, which JupyterHub 6.1.1 does not know.",
        hub(config__options={"Authenticator": ["allow_robots"]}),
        AFTER,
        machine(options=OPTIONS),
    ),
    Case(
        "config-option-unknown",
        f"{CONFIG} sets Authenticator.alowed_users, which neither JupyterHub nor a plugin knows.",
        hub(
            config__warnings=[
                "Config option `alowed_users` not recognized by `Authenticator`.  Did you mean ..."
            ]
        ),
    ),
    Case(
        "oauth-redirect-missing",
        "The service grafana uses OAuth, and has neither url nor oauth_redirect_uri.",
        hub(config__services=[{**SERVICE, "name": "grafana", "oauth": True}]),
    ),
    Case(
        "advisories-open",
        "The upgrade leaves open: CVE-2026-54338 (jupyterhub 5.4.6, fixed in 5.5.0), "
        "GHSA-c4gm-pwx9-9w8j (jupyterhub 5.4.6, fixed in 5.5.1), "
        "GHSA-69wv-m5fw-2fhp (jupyterhub 5.4.6, fixed in 5.5.1).",
        target=Target("5.4.6", ">=3.8", "4621fec11365"),
    ),
    Case(
        "advisories-closed",
        "The upgrade closes: CVE-2026-33175 (oauthenticator 16.0.0, fixed in 17.4.0).",
        hub(
            hub_environment__jupyterhub="6.1.1",
            hub_environment__packages={"jupyterhub": "6.1.1", "oauthenticator": "16.0.0"},
            user_environments__jupyterhub="6.1.1",
            user_environments__packages={"jupyterhub": "6.1.1"},
        ),
        host=with_packages({"oauthenticator": "17.4.0"}),
    ),
    Case("tokens-lost", f"{DATABASE} has 50 API tokens.", hub_1(), OLD),
    Case(
        "service-without-scopes",
        "Services without any scope: culler.",
        hub_1(config__services=[SERVICE]),
        OLD,
    ),
    Case(
        "culler-without-scopes",
        "The service culler lacks read:servers, delete:servers.",
        hub_1(config__services=[SERVICE], config__roles=role("list:users", "read:users:activity")),
        OLD,
    ),
    Case(
        "service-admin",
        "Services with `admin`: culler.",
        hub_1(config__services=[{**SERVICE, "admin": True}]),
        OLD,
    ),
    Case(
        "service-access",
        "Services without a role for access: culler.",
        hub_1(config__services=[{**SERVICE, "url": "http://127.0.0.1:1"}], config__roles=role(*ENOUGH)),
        OLD,
    ),
    Case(
        "named-servers",
        "2 names of servers: GPU, a--b.",
        hub(database__server_names=["GPU", "a--b", "lab-2", "x"]),
    ),
    Case("no-jupyterlab", "/opt/user-env has no jupyterlab.", hub_1(), OLD),
    Case(
        "single-user-arguments",
        "/opt/wrap mentions --ip or --port.",
        hub_1(),
        OLD,
        machine(single_user_script=("/opt/wrap", '#!/bin/sh\nexec jupyter notebook --port="$2"\n')),
    ),
    Case(
        "verify-user-unknown",
        "There is no user tester.",
        host=machine(knows_user=False),
        policy=Policy(verify_user="tester"),
    ),
    Case(
        "labhub",
        "c.Spawner.cmd is /opt/user-env/bin/jupyter-labhub.",
        hub_1(spawner__command=["/opt/user-env/bin/jupyter-labhub"]),
        OLD,
    ),
    Case(
        "login-without-xsrf",
        "Forms without `_xsrf`: /srv/templates/login.html.",
        hub(hub_environment__jupyterhub="3.1.1"),
        host=machine(templates={"/srv/templates/login.html": LOGIN, "/srv/templates/page.html": "<p>"}),
    ),
    Case(
        "form-without-xsrf",
        "Forms without `_xsrf`: /srv/templates/spawn.html.",
        hub(hub_environment__jupyterhub="3.1.1"),
        host=machine(templates={"/srv/templates/login.html": SAFE_LOGIN, "/srv/templates/spawn.html": LOGIN}),
    ),
    Case(
        "template-bootstrap-3",
        "Classes of Bootstrap 3: /srv/templates/page.html.",
        host=machine(templates={"/srv/templates/page.html": '<a class="btn btn-default">x</a>'}),
    ),
    Case(
        "outside-window",
        "The window is sat, sun from 22:00, for 4 hours; on the host it is Mon 09:00, "
        "and it opens Sat 2026-12-05 22:00.",
        host=machine(now=datetime(2026, 11, 30, 9)),
        policy=Policy(window=WEEKEND),
    ),
    Case(
        "servers-running",
        "3 servers are registered as running; they run on, with their kernels.",
        hub(database__servers=3),
    ),
    Case(
        "servers-not-kept",
        "Users' servers cannot run on. Servers of JupyterHub 1 do not work with a later hub.",
        hub_1(),
        policy=Policy(running_servers="keep"),
    ),
    Case(
        "servers-refused",
        "Servers are registered as running: ada, eve/gpu.",
        hub(database__servers=2),
        host=machine(running_servers=["ada", "eve/gpu"]),
        policy=Policy(running_servers="refuse"),
    ),
    Case(
        "service-not-replaceable",
        "The container jupyterhub.service cannot be replaced. The engine removes it when it stops.",
        hub(service__obstacles=["The engine removes it when it stops."]),
    ),
    Case(
        "packages-lost",
        "The container jupyterhub.service has numpy 2.0, scipy 1.0, and its image does not.",
        hub(service__lost=["numpy 2.0", "scipy 1.0"]),
    ),
    Case(
        "packages-lost",
        "The container jupyterhub.service has numpy 2.0, and its image does not. "
        "A rollback from an accepted upgrade has none of it either.",
        hub(service__lost=["numpy 2.0"], service__defined_in="Compose's service hub has the image hub:4."),
    ),
    *(
        Case(
            f"changes-{major}",
            f"From JupyterHub 1.5.1 to 6.1.1 crosses {major}.0.",
            hub_1(),
        )
        for major in (2, 3, 4, 5, 6)
    ),
]

RULES = DEPLOYMENT["authenticator"]
DUMMY = {**RULES, "bases": ["jupyterhub.auth.DummyAuthenticator"], "allow_rules": []}
#: States that look like a fault and are none, by the id that must not be found.
HEALTHY = [
    Case("no-allow-rule", "", hub(authenticator=DUMMY)),
    Case(
        "server-image-version",
        "",
        IN_CONTAINERS,
        host=machine(server_images=[ServerImage("hub/user:6.1", "sha256:1", "6.1.1", default=True)]),
    ),
    Case("no-allow-rule", "", hub(authenticator={**RULES, **PAM, "allow_rules": ["allow_all"]})),
    Case(
        "no-allow-rule",
        "",
        hub(authenticator={**RULES, **PAM, "allow_rules": []}, hub_environment__jupyterhub="5.4.6"),
    ),
    Case("allow-rule-unclear", "", hub(authenticator={**RULES, "allow_rules": []})),
    Case("crypt-key-missing", "", hub(authenticator__auth_state=True, secrets__crypt_key_source="config")),
    Case(
        "cookie-secret-missing",
        "",
        hub(
            secrets__cookie_secret_file={"path": "/srv/secret", "exists": False, "mode": None},
            secrets__cookie_secret_source="environment",
        ),
    ),
    Case(
        "cookie-secret-mode",
        "",
        hub(secrets__cookie_secret_file={"path": "/s", "exists": True, "mode": "0640"}),
    ),
    Case("pkce-required", "", hub(config__oauth_require_pkce=True, hub_environment__jupyterhub="6.0.0")),
    Case("proxy-not-found", "", hub(proxy__program=None)),
    Case("node-not-found", "", hub(proxy__program={**PROXY, "kind": "python", "node_version": None})),
    Case("node-too-old", "", hub(proxy__program={**PROXY, "engine": "^18 || >=20"})),
    Case("node-too-old", "", hub(proxy__program={**PROXY, "version": None, "engine": None})),
    Case("node-too-old", "", hub(proxy__program={**PROXY, "version": "5.1.0", "engine": None})),
    Case("proxy-without-tls", "", hub(config__tls=True)),
    Case("database-on-network", "", hub(database__file_system="overlay")),
    Case(
        "interpreter-gone", "", hub(user_environments__python=None), policy=Policy(python="/usr/bin/python3")
    ),
    Case("interpreter-changed", "", host=machine(python_versions={f"{HUB}/bin/python": "3.11.9"})),
    Case("sqlalchemy-too-new", "", host=with_packages({"sqlalchemy": "2.0.30"})),
    Case("sqlalchemy-too-new", "", hub_1(), OLD, with_packages({"sqlalchemy": "1.4.52"})),
    Case("package-too-old", "", host=with_packages({"batchspawner": "1.3.0", "oauthenticator": "17.1.0"})),
    Case("package-too-old", "", hub_1(), OLD, with_packages({"batchspawner": "1.2.0"})),
    Case(
        "packages-not-available",
        "",
        target=Target("6.1.1", ">=3.12"),
        host=with_packages({}, problem="jupyterhub==6.1.1 needs Python>=3.12"),
    ),
    Case(
        "config-option-gone",
        "",
        hub(config__options={"JupyterHub": ["statsd_hots"], "KubeSpawner": ["image"]}),
        AFTER,
        machine(options=OPTIONS),
    ),
    # Set before the upgrade, for the hub that will know it.
    Case(
        "config-option-unknown",
        "",
        hub(config__warnings=["Config option `db_url` not recognized by `JupyterHub`."]),
        AFTER,
    ),
    Case(
        "oauth-redirect-missing",
        "",
        hub(config__services=[{**SERVICE, "oauth": True, "url": "http://127.0.0.1:1"}]),
    ),
    Case("tokens-lost", ""),
    Case(
        "service-without-scopes", "", hub_1(config__services=[SERVICE], config__roles=role("shutdown")), OLD
    ),
    Case("culler-without-scopes", "", hub_1(config__services=[SERVICE], config__roles=role(*ENOUGH)), OLD),
    Case(
        "culler-without-scopes",
        "",
        hub_1(config__services=[SERVICE], config__roles=role("admin:users", "admin:servers")),
        OLD,
    ),
    Case("culler-without-scopes", "", hub_1(config__services=[{**SERVICE, "admin": True}]), OLD),
    Case(
        "service-access",
        "",
        hub_1(
            config__services=[{**SERVICE, "url": "http://127.0.0.1:1"}],
            config__roles=[{"name": "user", "scopes": ["self", "access:services"], "services": []}],
        ),
        OLD,
    ),
    Case("verify-user-unknown", "", policy=Policy(verify_user="tester")),
    Case("named-servers", "", hub(database__server_names=["lab-2", "x", "a1"])),
    Case("no-jupyterlab", "", hub_1(), OLD, machine(installed={USERS: {"jupyterlab": "3.6.0"}})),
    Case(
        "single-user-arguments",
        "",
        hub_1(),
        OLD,
        machine(single_user_script=("/w", '#!/bin/sh\nexec x "$@"')),
    ),
    Case(
        "login-without-xsrf",
        "",
        hub(hub_environment__jupyterhub="3.1.1"),
        host=machine(
            templates={"/srv/templates/login.html": SAFE_LOGIN, "/srv/search.html": "<form><input></form>"}
        ),
    ),
    Case("login-without-xsrf", "", host=machine(templates={"/srv/templates/login.html": LOGIN})),
    Case(
        "template-bootstrap-3",
        "",
        host=machine(templates={"/srv/page.html": '<p class="btn-primary" data-bs-toggle="x">well</p>'}),
    ),
    Case(
        "link-leads-out",
        "",
        host=machine(
            links={HUB: [("/opt/jupyterhub/share", "/srv/share")]},
            python_versions={"/usr/bin/python3": "3.11.2"},
        ),
        policy=Policy(python="/usr/bin/python3"),
    ),
    Case("environment-left-out", "", policy=Policy(environment_failures="report")),
    Case("servers-running", "", hub(database__servers=0)),
    Case("outside-window", "", host=machine(now=datetime(2026, 11, 28, 23)), policy=Policy(window=WEEKEND)),
    Case(
        "outside-window",
        "",
        upgraded(),
        host=machine(now=datetime(2026, 11, 30, 9)),
        policy=Policy(window=WEEKEND),
    ),
    Case("servers-not-kept", "", hub_1()),
    Case("servers-refused", "", policy=Policy(running_servers="refuse")),
    Case("service-not-replaceable", "", hub(service__obstacles=[])),
    Case("packages-lost", "", hub(service__lost=[])),
    Case("changes-5", "", hub(hub_environment__jupyterhub="5.4.6")),
    Case("database-revision-unknown", "", target=Target("6.1.1", ">=3.10", "f460b0348206")),
    Case("no-space", "", host=machine(free_bytes={"/srv/jupyterhub": GIBIBYTE})),
    Case(
        "no-space",
        "",
        hub(database__bytes=GIBIBYTE),
        host=machine(free_bytes={"/var/lib/hubops/jupyterhub": 5 * GIBIBYTE // 2}),
    ),
    Case("hub-not-running", "", hub(hub_environment__jupyterhub="4.1.6")),
    Case("failed-before", "", host=machine(failed=failed("another"))),
    Case(
        "failed-before",
        "",
        target=Target("5.4.6", ">=3.8", "4621fec11365"),
        host=machine(failed=failed(BASIS)),
    ),
    Case("failed-before", "", host=machine(failed=failed(BASIS), of_site={CONFIG: "changed"})),
    Case("synchronized-at-start", "", hub(service__command=["uv", "run", "--no-sync", "jupyterhub"])),
    Case(
        "synchronized-at-start",
        "",
        hub(service__command=["uv", "run", "jupyterhub"], service__environment_names=["UV_NO_SYNC"]),
    ),
]


def found_in(case: Case) -> dict[str, Finding]:
    """The plan's findings by their ids; of several with one id the first."""
    plan = make_plan(case.deployment, case.target, case.host, case.policy, case.others)
    return {finding.id: finding for finding in reversed(plan.findings)}


def test_sessions_that_are_going_to_be_ended_forbid_nothing() -> None:
    deployment = on_server(sessions=["psql of root, process 7"], may_end_sessions=True)
    finding = found_in(Case("", "", deployment, policy=Policy(database_sessions="end")))["database-sessions"]
    assert finding.severity == "warning"
    assert finding.found.endswith("(psql of root, process 7). They are ended in the outage.")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_it_is_found(case: Case) -> None:
    finding = found_in(case)[case.id]
    kind = findings.KINDS[case.id]
    assert finding.found == case.found
    assert (finding.severity, finding.accept) == (kind.severity, kind.accept)
    assert finding.why and finding.fix


@pytest.mark.parametrize("case", HEALTHY, ids=lambda case: case.id)
def test_it_is_not_found(case: Case) -> None:
    assert case.id not in found_in(case)


def test_a_healthy_hub_has_no_findings_but_what_the_new_majors_bring() -> None:
    plan = make_plan(hub(), TARGET, machine(), Policy())
    assert [finding for finding in plan.findings if finding.severity != "note"] == []


def test_each_finding_has_its_case() -> None:
    assert {case.id for case in CASES} == {kind.id for subject in findings.SUBJECTS for kind in subject.KINDS}


def test_no_two_kinds_share_an_id() -> None:
    assert len(findings.KINDS) == sum(len(subject.KINDS) for subject in findings.ALL_SUBJECTS)
    assert [id for id in findings.KINDS if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", id)] == []


def test_containers_that_are_not_removed_are_named() -> None:
    case = Case("", "", IN_CONTAINERS, host=machine(stale_containers=STALE))
    removes = Policy(stale_containers="remove")
    plan = make_plan(case.deployment, TARGET, case.host, removes)
    assert plan.stale_containers == "remove"
    assert "remove containers of users' servers" in plan.steps[-1]
    [found] = [each for each in plan.findings if each.id == "stale-containers"]
    assert "But these stay, for they run or have files of their users: jupyter-bob." in found.fix
    assert make_plan(case.deployment, TARGET, machine(), removes).stale_containers == ""


def test_environments_that_can_be_links_need_little_space() -> None:
    paths = [f"/opt/users/user{number}" for number in range(200)]
    entries = [planned_environment(Path(path), "6.1.1", role="user") for path in paths]
    installed = {path: {"jupyterhub": "4.1.6"} for path in paths}
    sizes = dict.fromkeys(paths, GIBIBYTE // 4)

    def needed(*linkable: str, **others: dict[str, str]) -> float:
        host = machine(linkable=linkable, installed={**installed, **others}, environment_bytes=sizes)
        return bytes_needed(hub(), host, entries)["/opt/users"] / GIBIBYTE

    assert needed() > 100
    assert needed(*paths) < 16
    # One with other packages is staged alone.
    assert needed(*paths, **{paths[9]: {"numpy": "2.0"}}) > needed(*paths) + 0.5
    assert needed(*paths[100:]) > 60


def test_the_line_of_composes_file_is_said() -> None:
    host = machine(resolved={HUB: Resolution({}, image="hub:6")})
    plan = make_plan(hub(service__defined_in="Compose's service hub."), TARGET, host, Policy())
    [found] = [each for each in plan.findings if each.id == "compose-file"]
    assert found.fix == "Once the upgrade has succeeded, have it say `image: hub:6`; back after a rollback."


def test_only_blockers_need_to_be_accepted() -> None:
    assert [kind.id for kind in findings.KINDS.values() if kind.accept and kind.severity != "blocker"] == []


def test_the_documentation_lists_what_the_code_knows() -> None:
    checked = subprocess.run(
        [sys.executable, REPOSITORY / "tools/findings_table", "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_blocker_that_is_accepted_becomes_a_warning_that_says_so() -> None:
    stopped = hub(service__state="stopped")
    [before] = [each for each in make_plan(stopped, TARGET, machine(), Policy()).findings if each.accept]
    assert sentence(before).endswith("Or accept it: jupyterhub_accept: [hub-not-running].")
    plan = make_plan(stopped, TARGET, machine(), Policy(accept=["hub-not-running"]))
    [after] = [each for each in plan.findings if each.accept]
    assert plan.blockers == []
    assert after.severity == "warning"
    assert after.found == f"{before.found} (It was accepted: hub-not-running.)"
    assert "jupyterhub_accept" not in sentence(after)


def test_a_downgrade_cannot_be_accepted() -> None:
    plan = make_plan(hub(), Target("3.1.1"), machine(), Policy(accept=["downgrade"]))
    [finding] = plan.blockers
    assert finding.fix == "Name a newer version. It cannot be accepted."


@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        ("hub-not-runing", "names unknown findings: hub-not-runing. Did you mean hub-not-running"),
        ("xyzzy", "jupyterhub_accept names unknown findings: xyzzy. docs/findings.md lists all ids."),
    ],
)
def test_an_unknown_id_cannot_be_accepted_and_the_host_is_not_examined(accepted: str, said: str) -> None:
    with pytest.raises(HubError) as caught:
        planner.plan(hub(), "6.1.1", Policy(accept=[accepted]), InstallerOptions())
    assert said in str(caught.value)


def test_long_lists_are_cut() -> None:
    assert listing(["a", "b"]) == "a, b"
    assert listing(list("abcdefg"), 5) == "a, b, c, d, e and 2 more"
