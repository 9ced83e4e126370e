from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import DatabaseConfig
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.kinds import find_database
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import discovery
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.config import (
    LoadedConfig,
    describe_config,
    describe_secrets,
    load_config,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import SpawnerFacts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.environment import (
    read_environment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.facts import EnvironmentFacts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub.facts import HubService
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services import supervisord
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.command_line import HubCommand
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.facts import ServiceFacts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.supervisord import Supervisor
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.execution_context import (
    ExecutionContext,
)

from tests.healthy_hub import DEPLOYMENT
from tests.hubs.real_hub import environment, make_database

CONFIG = """
import os, pathlib, sys
sys.path.insert(0, os.getcwd())
import settings
print("{garbage")
os.write(1, b"more garbage")
pathlib.Path("secret.py").read_text()
with open("written.txt", "w"):
    pass
os.remove("written.txt")
load_subconfig("more.py")
c.JupyterHub.db_url = os.environ["DB_URL"]
c.JupyterHub.bind_url = "http://:9876/base"
c.JupyterHub.hub_port = 9081
c.JupyterHub.no_such_option = True
c.JupyterHub.services = [{"name": "up", "url": "http://127.0.0.1:1"}, {"name": "cull", "command": ["cull"]}]
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.auth_token = "the proxy's token"
c.Spawner.cmd = ["wrong"]
c.LocalProcessSpawner.cmd = ["/opt/users/bin/jupyterhub-singleuser", "--debug"]
class Own(__import__("jupyterhub.auth").auth.PAMAuthenticator):
    pass
c.JupyterHub.authenticator_class = Own
"""


SERVICE = from_dict(ServiceFacts, {**DEPLOYMENT["service"], "unit_file": ""})


@pytest.fixture
def here(tmp_path: Path) -> ExecutionContext:
    me = pwd.getpwuid(os.geteuid())
    variables = {"PATH": "/usr/bin:/bin", "DB_URL": "oracle://hub:the-password@db/hub", "HOME": me.pw_dir}
    return ExecutionContext(
        me.pw_name, me.pw_uid, me.pw_gid, (me.pw_gid,), me.pw_dir, str(tmp_path), variables
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of hub 4.1.6 with five users, to be copied."""
    database = tmp_path_factory.mktemp("made") / "jupyterhub.sqlite"
    make_database("4.1.6", database)
    return database


def load(
    version: str, here: ExecutionContext, *arguments: str, config_file: str | None = None
) -> LoadedConfig:
    path = environment(version)
    command = HubCommand(f"{path}/bin/jupyterhub", False, list(arguments))
    return load_config(read_environment(path), command, here, config_file)


def write(folder: str, **files: str) -> None:
    for name, text in files.items():
        Path(folder, f"{name}.py").write_text(text)


def test_what_the_driver_is_given_is_what_a_file_can_say(here: ExecutionContext) -> None:
    given = (
        "{'ssl_ca': pathlib.Path('/etc/ca.pem'), 'cursorclass': dict, 'port': None, 'ssl_verify_cert': True, "
        "'ssl': {'cert': pathlib.Path('a.pem'), 'verify_mode': ssl.CERT_REQUIRED, 'names': object()}}"
    )
    config = f"import pathlib, ssl\nc.JupyterHub.db_kwargs = {{'connect_args': {given}}}\n"
    write(here.directory, jupyterhub_config=config)
    assert load("6.1.1", here).db_connect_args == {
        "ssl_ca": "/etc/ca.pem",
        "ssl_verify_cert": True,
        "ssl": {"cert": "a.pem", "verify_mode": 2},
    }


@pytest.mark.parametrize("version", ["1.5.1", "2.3.1", "3.1.1", "4.1.6", "5.4.6", "6.1.1"])
def test_the_hub_itself_loads_its_config_and_nothing_is_written(version: str, here: ExecutionContext) -> None:
    more = "c.Authenticator.admin_users = {'admin'}\n"
    write(here.directory, jupyterhub_config=CONFIG, settings="A = 1\n", more=more, secret="x")
    before = set(os.listdir(here.directory))
    found = load(version, here)
    assert set(os.listdir(here.directory)) == before
    names = [Path(file).name for file in found.files]
    assert names == ["jupyterhub_config.py", "more.py", "secret.py", "settings.py"]
    assert found.config_file == f"{here.directory}/jupyterhub_config.py"
    assert found.jupyterhub == version
    assert found.db_url == here.environment["DB_URL"]
    assert found.warnings == ["Config option `no_such_option` not recognized by `JupyterHub`."]
    assert found.services == [
        HubService("up", "http://127.0.0.1:1", False, False, False, False, False, False),
        HubService("cull", None, True, False, True, True, False, False),
    ]
    assert found.options["LocalProcessSpawner"] == ["cmd"]
    assert (found.cleanup_servers, found.template_folders, found.shadowed) == (True, [], {})
    proxy = found.proxy
    assert (proxy.class_name, proxy.package) == ("jupyterhub.proxy.ConfigurableHTTPProxy", "jupyterhub")
    assert (proxy.version, proxy.managed) == (version, False)
    assert proxy.command == ["configurable-http-proxy"]
    assert found.spawner == SpawnerFacts(
        "jupyterhub.spawner.LocalProcessSpawner",
        "jupyterhub",
        version,
        ["/opt/users/bin/jupyterhub-singleuser", "--debug"],
        True,
    )
    assert found.authenticator.class_name.endswith(".Own")
    assert found.authenticator.package is None
    assert "jupyterhub.auth.PAMAuthenticator" in found.authenticator.bases
    assert (found.authenticator.admins, found.authenticator.allow_rules) == (True, [])
    described = describe_config(found, here, None)
    assert described.base_url == "/base/"
    assert described.hub_api_url == "http://127.0.0.1:9081/base/hub/api"
    assert described.public_url == "http://127.0.0.1:9876/base/"
    secrets = describe_secrets(found, here, SERVICE)
    assert secrets.proxy_auth_token_source == "config"
    assert "the proxy's token" not in str([described, secrets])


@pytest.mark.parametrize("version", ["1.5.1", "6.1.1"])
def test_a_hub_without_a_config_has_jupyterhubs_defaults(version: str, here: ExecutionContext) -> None:
    found = load(version, here)
    assert (found.config_file, found.files, found.warnings) == (None, [], [])
    assert found.db_url == "sqlite:///jupyterhub.sqlite"
    assert found.spawner.command == ["jupyterhub-singleuser"]
    described = describe_config(found, here, None)
    assert described.hub_api_url == "http://127.0.0.1:8081/hub/api"
    assert described.public_url == "http://127.0.0.1:8000/"
    assert os.listdir(here.directory) == []


def test_the_command_line_and_another_config_file(here: ExecutionContext) -> None:
    write(here.directory, one="c.JupyterHub.hub_port = 1111\n", two="c.JupyterHub.hub_port = 2222\n")
    arguments = ["-f", "one.py", "--JupyterHub.base_url=/x"]
    assert load("4.1.6", here, *arguments).hub_bind_url == "http://127.0.0.1:1111"
    other = load("4.1.6", here, *arguments, config_file=f"{here.directory}/two.py")
    assert (other.hub_bind_url, other.base_url) == ("http://127.0.0.1:2222", "/x/")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c.JupyterHub.port = 8000\nundefined\n", "NameError: name 'undefined' is not defined ({config}:2)"),
        ("a = 1\nif a:\n", "IndentationError: expected an indented block after 'if' statement on line 2 "),
        ("import not_installed\n", "ModuleNotFoundError: No module named 'not_installed' ({config}:1)"),
        ("import sys\nsys.path.append('.')\nimport helper\n", "ValueError: of helper ({folder}/helper.py:1)"),
        ("c.JupyterHub.spawner_class = 'no.such.Spawner'\n", "no.such.Spawner"),
        ("c.JupyterHub.hub_port = 'many'\n", "hub_port"),
        ("import sys\nsys.exit('not on this host')\n", "not on this host"),
    ],
)
def test_a_config_that_does_not_load(here: ExecutionContext, text: str, message: str) -> None:
    write(here.directory, jupyterhub_config=text, helper="raise ValueError('of helper')\n")
    with pytest.raises(HubError) as caught:
        load("4.1.6", here)
    said = str(caught.value)
    assert said.startswith("The hub's config does not load: ")
    assert message.format(config=f"{here.directory}/jupyterhub_config.py", folder=here.directory) in said
    assert said.endswith("known while its hub runs.")


def test_a_config_file_that_is_named_and_not_there(here: ExecutionContext) -> None:
    with pytest.raises(HubError, match="does not load: .*nope.py"):
        load("4.1.6", here, "-f", "nope.py")


AUTHENTICATOR = "from jupyterhub.auth import Authenticator, PAMAuthenticator as PAM\n"
OWN = "class Own(PAM):\n    {}\nc.JupyterHub.authenticator_class = Own\n"


@pytest.mark.parametrize(
    ("version", "text", "rules", "decides_itself"),
    [
        ("4.1.6", "", [], False),
        ("4.1.6", "c.Authenticator.allowed_users = set()\n", [], False),
        ("4.1.6", "c.Authenticator.allowed_users = {'ada'}\n", ["allowed_users"], False),
        ("1.5.1", "c.Authenticator.whitelist = {'ada'}\n", ["whitelist"], False),
        ("4.1.6", "c.PAMAuthenticator.allowed_groups.add('people')\n", ["allowed_groups"], False),
        # What an administrator sets before the upgrade, though the hub of today does not know it.
        ("4.1.6", "c.Authenticator.allow_all = True\n", ["allow_all"], False),
        ("5.4.6", "c.Authenticator.any_allow_config = True\n", ["any_allow_config"], False),
        ("4.1.6", "c.Authenticator.blocked_users = {'eve'}\n", [], False),
        ("4.1.6", OWN.format("pass"), [], False),
        ("4.1.6", OWN.format("def check_allowed(self, name, model=None): return True"), [], True),
        (
            "5.4.6",
            "from traitlets import default\n" + OWN.format("_all = default('allow_all')(lambda self: True)"),
            [],
            True,
        ),
    ],
)
def test_settings_that_allow_users_to_log_in(
    version: str, text: str, rules: list[str], decides_itself: bool, here: ExecutionContext
) -> None:
    write(here.directory, jupyterhub_config=AUTHENTICATOR + text)
    found = load(version, here).authenticator
    assert (found.allow_rules, found.decides_itself) == (rules, decides_itself)


def test_what_shadows_the_hubs_packages_is_reported(here: ExecutionContext) -> None:
    path = environment("4.1.6")
    [packages] = path.glob("lib/python3.*/site-packages")
    Path(here.directory, "elsewhere").mkdir()
    Path(here.directory, "elsewhere", "oauthlib").symlink_to(packages / "oauthlib")
    here.environment["PYTHONPATH"] = f"{here.directory}/elsewhere"
    write(here.directory, jupyterhub_config="")
    assert load("4.1.6", here).shadowed == {"oauthlib": f"{here.directory}/elsewhere/oauthlib/__init__.py"}


def test_an_environment_whose_python_is_gone(here: ExecutionContext) -> None:
    hub = EnvironmentFacts(here.directory, "venv", None, None, "4.1.6", {})
    with pytest.raises(HubError, match=f"The Python of {here.directory} is gone"):
        load_config(hub, None, here, None)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///jupyterhub.sqlite", "jupyterhub.sqlite"),
        ("sqlite+pysqlite:///jupyterhub.sqlite", "jupyterhub.sqlite"),
        ("sqlite:///jupyterhub.sqlite?timeout=30", "jupyterhub.sqlite"),
        ("sqlite:///my hub.sqlite", "my hub.sqlite"),
        ("sqlite:///{here}/100%25.sqlite", "100%25.sqlite"),
    ],
)
def test_a_database_is_found_beside_the_service(
    here: ExecutionContext, made: Path, url: str, name: str
) -> None:
    database = Path(here.directory, name)
    shutil.copyfile(made, database)
    found = find_database(
        DatabaseConfig(url.format(here=here.directory)), here, "2.0.30", discovery.LOCK_SECONDS
    )
    assert found.path == str(database)
    assert (found.kind, found.exists, found.problem) == ("sqlite", True, None)
    assert found.bytes == database.stat().st_size
    assert found.revision == "0eee8c825d24"
    assert (found.rows or {})["users"] == 5
    assert os.listdir(here.directory) == [name]


def test_a_database_elsewhere_is_reported_without_its_password(here: ExecutionContext) -> None:
    found = find_database(DatabaseConfig(here.environment["DB_URL"]), here, "2.0.30", discovery.LOCK_SECONDS)
    assert found.url == "oracle://hub:***@db/hub"
    assert (found.kind, found.path, found.exists) == ("other", None, False)


def test_a_database_that_is_missing_is_not_made(here: ExecutionContext) -> None:
    found = find_database(
        DatabaseConfig("sqlite:///jupyterhub.sqlite"), here, "2.0.30", discovery.LOCK_SECONDS
    )
    assert (found.exists, found.rows) == (False, None)
    assert f"{here.directory}/jupyterhub.sqlite" in str(found.problem)
    assert os.listdir(here.directory) == []


def test_a_locked_database_is_reported_soon(here: ExecutionContext, made: Path) -> None:
    path = Path(here.directory, "jupyterhub.sqlite")
    shutil.copyfile(made, path)
    with sqlite3.connect(path, isolation_level=None) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        found = find_database(
            DatabaseConfig("sqlite:///jupyterhub.sqlite"), here, "2.0.30", discovery.LOCK_SECONDS
        )
    assert (found.exists, found.revision, found.rows) == (True, None, None)
    assert "locked" in str(found.problem)


def test_a_database_that_is_none(here: ExecutionContext) -> None:
    Path(here.directory, "jupyterhub.sqlite").write_text("no database" * 1000)
    found = find_database(
        DatabaseConfig("sqlite:///jupyterhub.sqlite"), here, "2.0.30", discovery.LOCK_SECONDS
    )
    assert (found.exists, found.revision) == (True, None)
    assert "jupyterhub.sqlite" in str(found.problem)


def test_where_secrets_come_from(here: ExecutionContext) -> None:
    Path(here.directory, "cookie").write_text("ab" * 32)
    Path(here.directory, "cookie").chmod(0o600)
    here.environment.update(JUPYTERHUB_CRYPT_KEY="ab" * 32, JPY_COOKIE_SECRET="cd" * 32)
    write(here.directory, jupyterhub_config="c.JupyterHub.cookie_secret_file = 'cookie'\n")
    secrets = describe_secrets(load("4.1.6", here), here, replace(SERVICE, unit_file="/etc/passwd"))
    assert to_dict(secrets) == {
        "cookie_secret_file": {"path": f"{here.directory}/cookie", "exists": True, "mode": "0600"},
        "cookie_secret_source": "environment",
        "proxy_auth_token_source": "generated",
        "crypt_key_source": "environment",
        "files": [f"{here.directory}/cookie", "/etc/passwd"],
    }


@pytest.mark.parametrize(
    ("bind_url", "hub_bind_url", "public_url", "api_url"),
    [
        ("http://:8000", "http://127.0.0.1:8081", "http://127.0.0.1:8000/", "http://127.0.0.1:8081/hub/api"),
        ("http://0.0.0.0:80", "http://:8081", "http://127.0.0.1:80/", "http://127.0.0.1:8081/hub/api"),
        ("http://[::]:80", "http://[::1]:81", "http://127.0.0.1:80/", "http://[::1]:81/hub/api"),
        ("http://10.0.0.1", "https://hub:81/x", "http://10.0.0.1/", "https://hub:81/hub/api"),
        ("http://*:8000", "http://10.0.0.1:81", "http://127.0.0.1:8000/", "http://10.0.0.1:81/hub/api"),
    ],
)
def test_addresses_to_call(
    here: ExecutionContext, bind_url: str, hub_bind_url: str, public_url: str, api_url: str
) -> None:
    loaded = replace(
        load("4.1.6", here), hub_prefix="/hub/", bind_url=bind_url, hub_bind_url=hub_bind_url, ssl_files=[]
    )
    described = describe_config(loaded, here, None)
    assert (described.public_url, described.hub_api_url) == (public_url, api_url)


def hubs(folder: Path, *names: str) -> list[supervisord.SupervisordProgram]:
    config = folder / "supervisord.conf"
    programs = "".join(f"[program:{name}]\ncommand=/opt/{name}/bin/jupyterhub\n" for name in names)
    config.write_text(f"[supervisord]\n{programs}")
    sections, files = supervisord.read_config(config, {})
    supervisor = Supervisor(1, 0, str(folder), config, {}, sections, files)
    found = supervisord.programs_of(supervisor)
    return [supervisord.SupervisordProgram(config, program.name, program) for program in found]


def test_several_hubs_are_listed(tmp_path: Path) -> None:
    with pytest.raises(HubError) as caught:
        discovery.choose(hubs(tmp_path, "research", "teaching"), None)
    assert str(caught.value) == (
        "There are 2 hubs on this host: research (supervisord: /opt/research/bin/jupyterhub), "
        "teaching (supervisord: /opt/teaching/bin/jupyterhub). "
        "Say which one by its full name: jupyterhub_service in the inventory (the option service)."
    )


def test_no_hub(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="No JupyterHub was found on this host: no systemd unit"):
        discovery.choose([], None)
