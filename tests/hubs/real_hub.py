"""Real hubs for tests: under supervisord, with the pure-Python proxy, on loopback ports of their own."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
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


def environment(version: str, *more: str) -> Path:
    """A virtual environment with this version of JupyterHub, and more packages; built once, then cached."""
    path = CACHE / "-with-".join([version, *more])
    CACHE.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        packages, complete = requirements(version, "supervisor", *more), path / "complete"
        if not complete.exists() or complete.read_text() != " ".join(packages):
            build(path, version, "supervisor", *more)
            complete.write_text(" ".join(packages))
    return path


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


def make_database(version: str, path: Path, users: int = 5) -> None:
    """A SQLite database as `fill_database` makes it."""
    # SQLAlchemy before 2.1 takes a name as it is, later ones decode it; a plain name means the same to all.
    plain = path.with_name("plain.sqlite")
    fill_database(environment(version), f"sqlite:///{plain}", users)
    plain.rename(path)


def fill_database(environment: Path, url: str, users: int = 5) -> None:
    """A database as the hub of an environment makes it: users, a group, roles and a token for each user."""
    program = """
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
        for number in range(int(sys.argv[1])):
            user = orm.User(name="user%d" % number)
            session.add(user)
            session.commit()
            if hasattr(orm, "Role"):
                roles.assign_default_roles(session, user)
            group.users.append(user)
            session.commit()
            user.new_api_token(note="a test's")
    """
    argv: list[str | Path] = [environment / "bin" / "python", "-c", textwrap.dedent(program), str(users)]
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
    """A hub that answers; otherwise as `stopped_hub`."""
    with supervised(version, folder, config, place, command) as name:
        [service] = find_services(name)
        mark = service.log_mark()
        service.start()
        deadline = time.monotonic() + 30
        while service.hub_process() is None:
            assert time.monotonic() < deadline, service.log_since(mark)
            time.sleep(0.02)
        api_url = find_deployment(name).config.hub_api_url
        lifecycle.wait_for_version(service, api_url, version, 60, mark)
        # Found again now that it answers: it has its files.
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
