"""The rehearsal of an upgrade with a real hub that serves meanwhile: what it finds, what it leaves alone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import database_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import PlannedEnvironment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api as hub_api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal import rehearsal, rehearsed_hub
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal.rehearsal import Rehearsal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.processes import processes

from tests import REPOSITORY
from tests.healthy_hub import database_file
from tests.hubs.real_hub import environment, link_environment, running_hub
from tests.plans import planned_environment
from tests.testbed.releases import (
    APP,
    CANNOT_READ_USERS,
    DOES_NOT_START,
    MIGRATION_BREAKS,
    MIGRATION_TO_5,
    NEVER_ANSWERS,
    USERS,
)

OLD, NEW = "4.1.6", "6.1.1"
SERVER = "jupyter-server"
KEY = "a" * 64
TOKEN = "token-of-the-test"

CONFIG = """
c.Authenticator.allowed_users = {"user0", "user1", "user2", "user3", "user4"}
c.Authenticator.admin_users = {"user0"}
c.Authenticator.enable_auth_state = True
c.CryptKeeper.keys = ["@key@"]
c.Spawner.cmd = ["@users@/bin/jupyterhub-singleuser"]
c.Spawner.args = ["--allow-root"]
c.Spawner.pre_spawn_hook = lambda spawner: open("@folder@/hooks", "a").write(spawner.user.name)
c.SimpleLocalProcessSpawner.home_dir_template = "@folder@/home-{username}"
c.JupyterHub.pid_file = "@folder@/hub.pid"
c.JupyterHub.services = [
    {"name": "acts", "command": ["sh", "-c", "echo $$ >> @folder@/services; exec sleep 9999"]},
    {"name": "asks", "api_token": "@token@"},
    {"name": "elsewhere", "url": "http://127.0.0.1:9"},
]
c.JupyterHub.load_roles = [
    {"name": "asks", "scopes": ["admin:users", "admin:servers", "proxy"], "services": ["asks"]},
]
"""


class Stage:
    """A hub that serves, and staged environments that a test may break."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment = deployment
        self.folder = folder
        self.config = Path(deployment.config.file or "")
        self.hub = folder / "staged-hub"
        self.users = folder / "staged-users"
        self.state = folder / "state"
        link_environment(NEW, self.hub)
        link_environment(NEW, self.users, SERVER)

    def environments(self) -> list[PlannedEnvironment]:
        paths = {str(environment(OLD)): self.hub, str(environment(OLD, SERVER)): self.users}
        return [
            planned_environment(Path(path), NEW, staged_path=str(staged)) for path, staged in paths.items()
        ]

    def rehearse(self, **options: Any) -> Rehearsal:
        with migration.passing(self.state):
            return rehearsal.rehearse(
                self.deployment,
                self.environments(),
                NEW,
                self.state,
                **{"start_timeout": 60, **options},
            )

    def append(self, staged: Path, file: str, text: str) -> None:
        """Add lines to a module of a staged environment, whose files are links to those of the cache."""
        [path] = staged.glob(f"lib/python3.*/site-packages/{file}")
        original = path.read_text()
        path.unlink()
        path.write_text(original + text)


def api(deployment: Deployment, path: str, method: str = "GET") -> Any:
    """What the hub that serves answers."""
    url = f"{deployment.config.hub_api_url}{path}"
    request = urllib.request.Request(url, method=method, headers={"Authorization": f"token {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or "null")


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Path]]:
    folder = tmp_path_factory.mktemp("hub")
    config = CONFIG
    words = {"folder": folder, "users": environment(OLD, SERVER), "key": KEY, "token": TOKEN}
    for word, meaning in words.items():
        config = config.replace(f"@{word}@", str(meaning))
    with running_hub(OLD, folder, config=config) as deployment:
        write_auth_state(database_file(deployment))
        api(deployment, "/users/user2/server", "POST")
        wait_for(lambda: api(deployment, "/users/user2")["servers"].get("", {}).get("ready"))
        yield deployment, folder


@pytest.fixture
def stage(served: tuple[Deployment, Path], tmp_path: Path) -> Iterator[Stage]:
    """Each test with staged environments of its own; the hub must have noticed nothing."""
    stage = Stage(served[0], tmp_path)
    with untouched(stage, served[1]):
        yield stage


def write_auth_state(database: Path) -> None:
    """Encrypt an auth state for one user, as the hub does it."""
    program = (
        "import asyncio, sys\n"
        "from jupyterhub.crypto import CryptKeeper, encrypt\n"
        f"CryptKeeper.instance().keys = [bytes.fromhex('{KEY}')]\n"
        "async def main(): return await encrypt({'of': 'user1'})\n"
        "print(asyncio.run(main()).decode())\n"
    )
    argv: list[str | Path] = [environment(OLD) / "bin/python", "-c", program]
    state = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        connection.execute(
            "UPDATE users SET encrypted_auth_state = ? WHERE name = 'user1'", (state.encode(),)
        )


@contextlib.contextmanager
def untouched(stage: Stage, folder: Path) -> Iterator[None]:
    """Assert that the hub that serves is what it was, and that nothing of a rehearsal is left."""
    before = look(stage, folder)
    yield
    assert look(stage, folder) == before
    assert leftovers(stage) == []


def look(stage: Stage, folder: Path) -> dict[str, Any]:
    """The hub that serves: process, files, rows, and what its proxy leads to."""
    database = database_file(stage.deployment)
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        columns = ("id", "name", "admin", "cookie_id", "encrypted_auth_state")
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM users").fetchall()
        servers = connection.execute("SELECT id, user_id, server_id, name, state FROM spawners").fetchall()
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    [server] = [json.loads(state)["pid"] for *_, state in servers if state != "{}"]
    os.kill(server, 0)
    routes = {path: route["target"] for path, route in api(stage.deployment, "/proxy").items()}
    files = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if not path.name.startswith("jupyterhub.sqlite-") and "home-" not in str(path)
    }
    return {
        "process": service_of(stage.deployment.service).main_pid(),
        "version": hub_api.version(stage.deployment.config.hub_api_url),
        "rows": rows,
        "servers": servers,
        "revision": revision,
        "routes": routes,
        "files": files,
        "pid": (folder / "hub.pid").read_text(),
        "services": (folder / "services").read_text(),
        "secret": (folder / "jupyterhub_cookie_secret").read_text(),
        "proxy": (folder / "jupyterhub-proxy.pid").read_text(),
        "hooks": (folder / "hooks").read_text(),
    }


def leftovers(stage: Stage) -> list[list[str]]:
    """Processes of any rehearsal of this hub; another test may rehearse with its own."""
    folder = database_of(stage.deployment.database).scratch_folder
    found = []
    for process in processes():
        with contextlib.suppress(OSError):
            if process.environment().get(rehearsed_hub.MARKER) == str(folder):
                found.append(process.argv)
    return found


def ids(found: Rehearsal) -> list[str]:
    """The blockers."""
    return [finding.id for finding in found.findings if finding.severity == "blocker"]


def blocker(found: Rehearsal, id: str) -> str:
    """The text of the only blocker, which has this id."""
    assert ids(found) == [id], found.findings
    [line] = found.result([])["blockers"]
    return str(line)


def test_a_healthy_hub_rehearses_well(stage: Stage) -> None:
    found = stage.rehearse()
    assert found.findings == []
    assert (found.version, found.single_user_version) == (NEW, NEW)
    assert found.sys_executable == f"{stage.hub}/bin/python"
    assert found.rows["users"] == {"before": 5, "after": 5}
    assert found.compared["users"] == ["id", "name", "admin", "cookie_id", "encrypted_auth_state"]
    parts = ("copy", "migrate", "config", "start", "log in", "spawn", "stop of a server", "stop", "old hub")
    assert set(found.timings) == set(parts)
    assert found.expected_outage_seconds is not None
    assert found.expected_outage_seconds > found.timings["start"]
    assert not stage.state.exists()


def add_migration(stage: Stage, statement: str) -> None:
    [folder] = stage.hub.glob("lib/python3.*/site-packages/jupyterhub/alembic/versions")
    (folder / "0123456789ab_bad.py").write_text(
        "revision = '0123456789ab'\n"
        "down_revision = 'f460b0348206'\n"
        "from alembic import op\n"
        "def upgrade():\n"
        f"    op.execute({statement!r})\n"
    )


@pytest.mark.parametrize(
    ("statement", "id", "message"),
    [
        ("SELECT * FROM nowhere", "rehearsal-migration", "no such table: nowhere"),
        ("DELETE FROM users WHERE id > 2", "rehearsal-migration", "lost rows of "),
        (
            "UPDATE users SET name = 'x' || name",
            "rehearsal-rows",
            "what it must not: 5 rows of users are not what they were (name user0, user1, user2, ...)",
        ),
    ],
)
def test_a_migration_that_fails_or_spoils(stage: Stage, statement: str, id: str, message: str) -> None:
    add_migration(stage, statement)
    said = blocker(stage.rehearse(), id)
    assert message in said
    assert "the database itself is unchanged" in said.lower()


def test_a_step_that_only_the_release_in_between_can_take(stage: Stage) -> None:
    stage.append(stage.hub, MIGRATION_TO_5, MIGRATION_BREAKS)
    found = stage.rehearse()
    assert "this step breaks" in blocker(found, "rehearsal-migration")
    assert "this step breaks" in found.migration_fails
    through = stage.rehearse(intermediate=[str(environment("5.4.6"))])
    assert (through.findings, through.migration_fails, through.version) == ([], "", NEW)


def test_a_step_that_no_release_can_take(stage: Stage) -> None:
    add_migration(stage, "SELECT * FROM nowhere")
    said = blocker(stage.rehearse(intermediate=[str(environment("5.4.6"))]), "rehearsal-migration")
    assert f"Through {environment('5.4.6')}: The rehearsal on a copy of the database failed." in said


def test_a_fresh_database_in_the_place_of_one_that_cannot_be_migrated(stage: Stage) -> None:
    add_migration(stage, "SELECT * FROM nowhere")
    found = stage.rehearse(fresh_database="No such table.", stops_servers=True)
    said = blocker(found, "fresh-database")
    assert said.startswith("fresh-database: No such table. It is lost with it: API tokens and log-ins: ")
    assert (
        "addresses of servers and services: " in said and "services (the config's are made again): 3" in said
    )
    assert "jupyterhub_accept: [fresh-database]" in said
    assert found.result(["fresh-database"])["blockers"] == []
    assert (found.version, found.single_user_version) == (NEW, NEW)
    assert (found.rows["users"], found.rows["spawners"]["after"]) == ({"before": 5, "after": 5}, 1)
    assert found.compared["users"] == ["id", "name", "admin", "cookie_id", "encrypted_auth_state"]
    assert "old hub" in found.timings


def test_no_fresh_database_where_servers_go_on_without_the_hub(stage: Stage) -> None:
    add_migration(stage, "SELECT * FROM nowhere")
    said = blocker(stage.rehearse(fresh_database="No such table."), "fresh-database-not-possible")
    assert "No such table. " in said
    assert "1 servers are registered that go on without the hub; stop them first." in said


@pytest.mark.parametrize(
    ("file", "text", "id", "words"),
    [
        (
            APP,
            DOES_NOT_START,
            "rehearsal-start",
            ["The new hub exited at its start, with status 1.", "RuntimeError: this release does not start"],
        ),
        (
            APP,
            NEVER_ANSWERS,
            "rehearsal-no-answer",
            ["did not answer within 15 s.", "jupyterhub_start_timeout", "this release waits for ever"],
        ),
        (
            USERS,
            CANNOT_READ_USERS,
            "rehearsal-database",
            ["The new hub answers GET /hub/api/users with 500", "this release cannot read its users"],
        ),
    ],
)
def test_a_hub_that_does_not_work(stage: Stage, file: str, text: str, id: str, words: list[str]) -> None:
    stage.append(stage.hub, file, text)
    said = blocker(stage.rehearse(start_timeout=15), id)
    assert [word for word in words if word not in said] == []
    assert "The end of its log:" in said


def test_servers_that_do_not_start(stage: Stage) -> None:
    stage.append(stage.users, "jupyter_server/serverapp.py", "\nraise ImportError('this server is broken')\n")
    said = blocker(stage.rehearse(), "rehearsal-spawn")
    assert f"Check the packages of {stage.users}; jupyterhub_user_packages installs more." in said
    assert "It logged: ImportError: this server is broken" in said


def test_servers_that_could_not_be_started_before(stage: Stage) -> None:
    config = f"c.Spawner.cmd = ['{environment(OLD)}/bin/jupyterhub-singleuser']\n"
    with changed(stage.config, config):
        found = stage.rehearse()
    assert [(finding.id, finding.severity) for finding in found.findings] == [("spawn-not-rehearsed", "note")]
    assert "has neither jupyter-server nor notebook, today as well." in (found.findings[0].found)


@contextlib.contextmanager
def changed(file: Path, more: str) -> Iterator[None]:
    """Have more lines in the config than the hub that serves has read."""
    text = file.read_text()
    file.write_text(text + more)
    try:
        yield
    finally:
        file.write_text(text)


@pytest.mark.parametrize(
    ("lines", "id", "words"),
    [
        (
            "import jupyterhub\nif jupyterhub.version_info >= (6,):\n    raise KeyError('of the new one')\n",
            "rehearsal-config",
            [
                "With JupyterHub 6.1.1: The hub's config does not load: KeyError: 'of the new one' (",
                ".py:",
            ],
        ),
        (
            "c.JupyterHub.hub_bind_url = 'unix+http://%2Fsrv%2Fhub.sock'\n",
            "rehearsal-socket",
            [
                "With JupyterHub 6.1.1, c.JupyterHub.hub_bind_url begins with unix+http://.",
                "'http+unix' if jupyterhub.version_info >= (6,) else 'unix+http'",
            ],
        ),
        (
            "c.DummyAuthenticator.allowed_people = {'user0'}\n",
            "allow-option-gone",
            [
                "Config option `allowed_people` not recognized by",
                "jupyterhub_accept: [allow-option-gone]",
            ],
        ),
        (
            "c.Authenticator.allowed_users = set()\nc.DummyAuthenticator.allow_all = False\n",
            "no-allow-rule",
            ["No allow config found", "jupyterhub_accept: [no-allow-rule]"],
        ),
        (
            f"c.CryptKeeper.keys = ['{'b' * 64}']\n",
            "rehearsal-auth-state",
            [
                "cannot decrypt the auth_state of user1. JUPYTERHUB_CRYPT_KEY is not the key that",
                "[rehearsal-auth-state]",
            ],
        ),
        (
            "c.CryptKeeper.keys = []\n",
            "rehearsal-start",
            [
                "The new hub exited at its start",
                "Give the service JUPYTERHUB_CRYPT_KEY, as it was when auth_state was written.",
            ],
        ),
        (
            "c.ConfigurableHTTPProxy.command = ['no-such-proxy']\n",
            "proxy-not-found",
            ["The proxy no-such-proxy was not found on the service's PATH (", "npm install -g"],
        ),
        (
            "c.ConfigurableHTTPProxy.command = ['/bin/false']\n",
            "rehearsal-proxy",
            [
                "The new hub exited at its start",
                "Compare the proxy's version, and Node's, with what the new hub needs.",
            ],
        ),
    ],
)
def test_a_config_that_does_not_go_with_the_new_version(
    stage: Stage, lines: str, id: str, words: list[str]
) -> None:
    with changed(stage.config, lines):
        said = blocker(stage.rehearse(), id)
    assert [word for word in words if word not in said] == []


def test_an_accepted_finding_is_a_warning(stage: Stage) -> None:
    with changed(stage.config, "c.DummyAuthenticator.allowed_people = {'user0'}\n"):
        found = stage.rehearse().result(["allow-option-gone"])
    assert found["blockers"] == []
    assert [finding["severity"] for finding in found["findings"]] == ["warning"]


def test_options_that_the_new_version_does_not_know(stage: Stage) -> None:
    lines = "c.JupyterHub.statsd_host = 'localhost'\nc.SimpleLocalProcessSpawner.no_such_thing = 1\n"
    with changed(stage.config, lines):
        found = stage.rehearse()
    [finding] = found.findings
    assert (finding.id, finding.severity) == ("config-option-gone", "warning")
    assert "Config option `statsd_host` not recognized by `JupyterHub`" in finding.found
    assert "`no_such_thing` not recognized by `SimpleLocalProcessSpawner`" in finding.found
    assert "Remove it, or set its replacement" in finding.fix


def test_a_cookie_secret_that_every_user_can_read(stage: Stage) -> None:
    secret = stage.config.with_name("jupyterhub_cookie_secret")
    secret.chmod(0o644)
    try:
        said = blocker(stage.rehearse(), "cookie-secret-mode")
    finally:
        secret.chmod(0o600)
    assert f"chmod 600 {secret}" in said
    assert "cookie_secret_file can be read or written by anybody" in said


def test_a_cookie_secret_that_is_missing_is_not_written(stage: Stage) -> None:
    lines = f"c.JupyterHub.cookie_secret_file = '{stage.config.with_name('gone')}'\n"
    with changed(stage.config, lines):
        assert ids(stage.rehearse()) == []


def test_a_proxy_that_the_hub_does_not_start(stage: Stage) -> None:
    lines = "c.ConfigurableHTTPProxy.should_start = False\nc.ConfigurableHTTPProxy.auth_token = 'x'\n"
    with changed(stage.config, lines):
        found = stage.rehearse()
    assert [(finding.id, finding.severity) for finding in found.findings] == [("proxy-not-rehearsed", "note")]
    assert found.single_user_version == NEW


def test_what_is_upgraded_in_place_cannot_be_rehearsed(stage: Stage) -> None:
    entries = [replace(entry, strategy="in_place") for entry in stage.environments()]
    found = rehearsal.rehearse(stage.deployment, entries, NEW, stage.state)
    [finding] = found.findings
    assert (finding.id, finding.severity) == ("not-rehearsed", "warning")
    assert "is upgraded in place." in finding.found


PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
import tests
from pathlib import Path
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import planned
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal import rehearsal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
wanted = json.load(sys.stdin)
rehearsal.rehearse(
    from_dict(Deployment, wanted["deployment"]), [planned(entry) for entry in wanted["environments"]],
    "6.1.1", Path(wanted["state"]),
    progress=lambda line: print(line, flush=True),
)
"""


@pytest.mark.parametrize("moment", ["Migrating the copy", "Starting JupyterHub", "Starting a server"])
def test_a_rehearsal_that_is_killed_leaves_no_process_and_the_next_one_tidies_up(
    stage: Stage, moment: str
) -> None:
    wanted = {
        "deployment": to_dict(stage.deployment),
        "environments": [to_dict(entry) for entry in stage.environments()],
        "state": str(stage.state),
    }
    argv = [sys.executable, "-c", PROGRAM, str(REPOSITORY)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdin and killed.stdout
        killed.stdin.write(json.dumps(wanted))
        killed.stdin.close()
        assert any(line.startswith(moment) for line in killed.stdout)
        if moment == "Starting a server":
            wait_for(lambda: any("jupyterhub-singleuser" in " ".join(argv) for argv in leftovers(stage)))
            killed.send_signal(signal.SIGSTOP)  # Else it may have ended before the next one looks.
            with pytest.raises(HubError, match="Another rehearsal works in .* Wait until it has ended."):
                stage.rehearse()
        killed.send_signal(signal.SIGKILL)
    wait_for(lambda: not leftovers(stage))
    assert database_of(stage.deployment.database).scratch_folder.is_dir()
    if moment == "Starting a server":
        assert ids(stage.rehearse()) == []
    else:
        rehearsed_hub.tidy(database_of(stage.deployment.database))
    assert not database_of(stage.deployment.database).scratch_folder.exists()
    migration.abandon(stage.state)
