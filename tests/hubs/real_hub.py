"""Real hubs for tests: under supervisord, with the pure-Python proxy, on loopback ports of their own."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import find_services

#: Every checkout's, and on the file system of the tests' folders, for they have hard links to what is in it.
CACHE = Path(tempfile.gettempdir(), f"hubops-test-hubs-{platform.python_version()}")
NUMBERS = itertools.count(1)
# Newer ones come with a package that builds a grammar whenever a hub from 5.0 on starts: 1.7 s of CPU time.
JSONSCHEMA = "jsonschema<4.25"
# Hubs before 3.1.1 do not start with SQLAlchemy 2.
OLD = {"1.5.1": ["sqlalchemy<2", "setuptools<80"], "2.3.1": ["sqlalchemy<2"]}

FILL_DATABASE = """
import sys
import jupyterhub
from jupyterhub import orm

session = orm.new_session_factory(sys.stdin.read())()
if hasattr(orm, "Role"):
    from jupyterhub import roles
    client = orm.OAuthClient(identifier="jupyterhub", secret="", redirect_uri="", description="")
    session.add(client)
    session.commit()
    for role in roles.get_default_roles():
        roles.create_role(session, role)
group = orm.Group(name="people")
session.add(group)
for number in range(5):
    user = orm.User(name="user%d" % number)
    session.add(user)
    session.commit()
    if hasattr(orm, "Role"):
        roles.assign_default_roles(session, user)
    group.users.append(user)
    session.commit()
    user.new_api_token(note="a test's")
"""
#: What every release logs when it has started.
RUNNING = "JupyterHub is now running"


def environment(version: str, *more: str) -> Path:
    """A virtual environment with this version of JupyterHub, and more packages; built once, then cached."""
    path = CACHE / "-with-".join([version, *more])
    with one_maker(path):
        packages, complete = requirements(version, "supervisor", *more), path / "complete"
        if not complete.exists() or complete.read_text() != " ".join(packages):
            build(path, version, "supervisor", *more)
            complete.write_text(" ".join(packages))
    return path


@contextlib.contextmanager
def one_maker(path: Path) -> Iterator[None]:
    """Only one process at a time makes this file or folder of the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(path: Path, version: str, *more: str) -> None:
    """Make a virtual environment with this version of JupyterHub, a proxy in Python, and more packages."""
    uv, python = Path(sys.executable).parent / "uv", path / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, path], check=True)
    install: list[str | Path] = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    subprocess.run([*install, *requirements(version, *more)], check=True)


def requirements(version: str, *more: str) -> list[str]:
    """What such an environment is made of."""
    return [f"jupyterhub=={version}", "configurable-http-proxy", JSONSCHEMA, *OLD.get(version, []), *more]


def link_environment(version: str, path: Path, *more: str) -> Path:
    """The same environment under another path, in hard links."""
    subprocess.run(["cp", "-al", environment(version, *more), path], check=True)
    return path


def copy_environment(source: Path, target: Path) -> None:
    """A copy of a virtual environment; `shutil.copytree` takes six times as much CPU time."""
    subprocess.run(["cp", "--archive", "--no-target-directory", source, target], check=True)


def make_database(version: str, path: Path) -> None:
    """A SQLite database as `fill_database` makes it; made once, then cached, for that imports half a hub."""
    place, program = environment(version), FILL_DATABASE.encode()
    made = CACHE / f"{version}-{zlib.crc32(program)}.sqlite"
    with one_maker(made):
        if not made.exists():
            # SQLAlchemy before 2.1 takes a name as it is, later ones decode it; this is one name to all.
            part = made.with_suffix(".part")
            part.unlink(missing_ok=True)
            fill_database(place, f"sqlite:///{part}")
            part.rename(made)
    shutil.copyfile(made, path)


def fill_database(environment: Path, url: str) -> None:
    """A database as an environment's hub makes it: five users, a group, roles and a token for each user."""
    argv: list[str | Path] = [environment / "bin" / "python", "-c", FILL_DATABASE]
    subprocess.run(argv, check=True, input=url, text=True, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def stopped_hub(
    version: str, folder: Path, *, config: str = "", place: Path | None = None, command: str = "{hub}"
) -> Iterator[Deployment]:
    """A hub that is not running, with five users; gives its deployment, as `jupyterhub_info` finds it.

    ``place`` is its environment, one that is shared if none is named. ``command`` has ``{hub}`` for the hub's
    own command, and ``{folder}``.
    """
    with supervised(version, folder, config, place, command) as name:
        yield find_deployment(name)


@contextlib.contextmanager
def running_hub(
    version: str, folder: Path, *, config: str = "", place: Path | None = None, command: str = "{hub}"
) -> Iterator[Deployment]:
    """A hub that answers and that supervisord takes for running; otherwise as `stopped_hub`."""
    with supervised(version, folder, config, place, command) as name:
        [service] = find_services(name)
        mark = service.log_mark()
        service.start()
        deadline = time.monotonic() + 60
        # supervisord says so a second or two after the start, which may be later than the hub does.
        while service.state() != "running" or not any(RUNNING in line for line in service.log_since(mark)):
            assert time.monotonic() < deadline, (service.state(), service.log_since(mark))
            time.sleep(0.05)
        yield find_deployment(name)


@contextlib.contextmanager
def supervised(
    version: str, folder: Path, config: str, place: Path | None = None, command: str = "{hub}"
) -> Iterator[str]:
    """A supervisord of its own with a hub that is not started yet; gives the program's name."""
    name = f"hub-{os.getpid()}-{next(NUMBERS)}"
    path = place or environment(version)
    proxy_port, api_port, hub_port = free_ports(3)
    make_database(version, folder / "jupyterhub.sqlite")
    hub = f"{path}/bin/jupyterhub -f {folder}/jupyterhub_config.py"
    (folder / "jupyterhub_config.py").write_text(
        f"c.JupyterHub.bind_url = 'http://127.0.0.1:{proxy_port}/'\n"
        f"c.JupyterHub.hub_port = {hub_port}\n"
        f"c.ConfigurableHTTPProxy.api_url = 'http://127.0.0.1:{api_port}'\n"
        "c.JupyterHub.authenticator_class = 'jupyterhub.auth.DummyAuthenticator'\n"
        "c.JupyterHub.spawner_class = 'jupyterhub.spawner.SimpleLocalProcessSpawner'\n" + config
    )
    (folder / "supervisord.conf").write_text(
        f"[supervisord]\nlogfile={folder}/supervisord.log\npidfile={folder}/supervisord.pid\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[unix_http_server]\nfile={folder}/s.sock\nchmod=0700\n"
        f"[program:{name}]\ncommand={command.format(hub=hub, folder=folder)}\n"
        f'directory={folder}\nenvironment=PATH="{path}/bin:/usr/bin:/bin"\nautostart=false\n'
        f"stdout_logfile={folder}/hub.log\nredirect_stderr=true\nstopasgroup=true\nkillasgroup=true\n"
    )
    with supervise(folder):
        yield name


@contextlib.contextmanager
def supervise(folder: Path, variables: dict[str, str] | None = None) -> Iterator[None]:
    """A running supervisord with ``supervisord.conf`` of this folder, whose socket is ``s.sock`` there."""
    supervisord = subprocess.Popen(
        [
            environment("4.1.6") / "bin" / "supervisord",
            *("--nodaemon", "--configuration", folder / "supervisord.conf"),
        ],
        env={**os.environ, **(variables or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(folder / "s.sock", supervisord)
        yield
    finally:
        supervisord.send_signal(signal.SIGTERM)
        supervisord.wait(30)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process that still runs has made its socket."""
    while not path.exists():
        assert process.poll() is None, "supervisord ended at once"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that are free, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
