"""A real hub in a container, and what tests do with it."""

from __future__ import annotations

import contextlib
import http
import http.cookiejar
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import prepared, rows
from .images import image

REPOSITORY = Path(__file__).resolve().parents[2]
LABEL = "hubops-test"
PORT = 8000
CONNECTION = "community.docker.docker_api"


@dataclass(frozen=True)
class Layout:
    """Where things are in a hub's container."""

    environments: tuple[str, ...]
    config_folder: str
    database: str
    """The path of its file, or as in ``postgresql:jupyterhub`` the server's product and its name there."""
    secrets: tuple[str, ...]
    state_folder: str
    version: str
    run_options: tuple[str, ...]
    systemd_unit: str = ""
    keeps_auth_state: bool = True

    @property
    def config_file(self) -> str:
        return f"{self.config_folder}/jupyterhub_config.py"

    @property
    def control(self) -> tuple[str, ...]:
        """The command that starts, stops and restarts the hub, without its verb."""
        return ("systemctl",) if self.systemd_unit else ("/home/hub/supervisor/bin/supervisorctl",)


def _under_systemd(version: str, database: str = "/srv/jupyterhub/jupyterhub.sqlite") -> Layout:
    return Layout(
        environments=("/opt/jupyterhub", "/opt/user-env"),
        config_folder="/etc/jupyterhub",
        database=database,
        secrets=("/srv/jupyterhub/jupyterhub_cookie_secret", "/etc/jupyterhub/environment"),
        state_folder="/var/lib/hubops",
        version=version,
        run_options=(
            *("--cap-add", "SYS_ADMIN", "--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
            *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
            *("--tmpfs", "/run", "--tmpfs", "/run/lock"),
        ),
        systemd_unit="jupyterhub.service",
    )


LAYOUTS = {
    "systemd": _under_systemd("4.1.6"),
    "old": _under_systemd("2.3.1"),
    "postgresql": _under_systemd("4.1.6", "postgresql:jupyterhub"),
    "mysql": _under_systemd("4.1.6", "mysql:jupyterhub"),
    "littlest": replace(
        _under_systemd("4.1.6", "/opt/tljh/state/jupyterhub.sqlite"),
        environments=("/opt/tljh/hub", "/opt/tljh/user"),
        config_folder="/opt/tljh/config/jupyterhub_config.d",
        secrets=(
            "/opt/tljh/state/jupyterhub_cookie_secret",
            "/opt/tljh/config/jupyterhub_config.d/environment",
        ),
        keeps_auth_state=False,
    ),
    "supervisord": Layout(
        environments=("/home/hub/jupyterhub", "/home/hub/user-env"),
        config_folder="/home/hub/hub",
        database="/home/hub/hub/jupyterhub.sqlite",
        secrets=("/home/hub/hub/jupyterhub_cookie_secret", "/home/hub/supervisord.conf"),
        state_folder="/home/hub/.local/state/hubops",
        version="4.1.6",
        run_options=("--init",),
    ),
}


@dataclass(frozen=True)
class Answer:
    """What the hub answered, parsed where it is JSON; ``status`` 0 when it did not answer."""

    status: int
    body: Any


@dataclass(frozen=True)
class PlaybookResult:
    """A finished ``ansible-playbook`` and its report, ``{}`` where it made none."""

    rc: int
    stdout: str
    report: dict[str, Any]

    @property
    def changed(self) -> int:
        """Number of changed tasks, from the recap."""
        return sum(int(number) for number in re.findall(r"\bchanged=(\d+)", self.stdout))


class Hub:
    """One hub in its container.

    ``Hub.start("systemd")`` gives a seeded, answering hub of version 4.1.6 in seconds, ``"supervisord"`` the
    same without root, ``"postgresql"`` and ``"mysql"`` ones with such a database, ``"littlest"`` the layout
    of The Littlest JupyterHub, ``"old"`` version 2.3.1.
    Users ``admin`` and ``user-000`` to ``user-199`` log in with the password ``testbed``; ``admin`` and the
    first fifty have the API token ``token-of-<name>``. Under systemd the users up to ``user-004`` can start
    servers, under supervisord all can. Use it as a context manager, or ``remove()`` it.
    """

    def __init__(self, container: str, kind: str) -> None:
        self.container = container
        self.layout = LAYOUTS[kind]
        self.address = ""
        self.find()

    def find(self) -> None:
        """Learn the container's address, which is another one after each start."""
        inspected = json.loads(docker("inspect", self.container).stdout)[0]
        self.address = inspected["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]

    @classmethod
    def start(cls, kind: str, options: tuple[str, ...] = (), tag: str = "") -> Hub:
        """Start a container of the image ``kind`` and wait until its hub answers.

        ``options`` are further ones of ``docker run``, ``tag`` an image above that of this kind.
        """
        container = f"hubops-{kind}-{uuid.uuid4().hex[:8]}"
        docker(
            *("run", "--detach", "--name", container, "--hostname", container, "--label", LABEL),
            *LAYOUTS[kind].run_options,
            *options,
            tag or image(kind),
        )
        hub = cls(container, kind)
        try:
            hub.wait_until_answers()
        except BaseException:
            hub.remove()
            raise
        return hub

    def cut_power(self) -> None:
        """End everything in the container at once, as if its power had failed."""
        docker("kill", "--signal", "KILL", self.container)

    def cut_power_unsynced(self, folders: tuple[str, ...]) -> list[str]:
        """`cut_power` that empties what the disk did not have yet of the files below ``folders``; which.

        The folders are volumes. The kernel reports for each file whether the disk has all of it.
        """
        program = Path(__file__).with_name("unsynced.py").read_text()
        lost = json.loads(self.exec(["/usr/bin/python3", "-", *folders], stdin=program).stdout)
        self.cut_power()
        empty = "import json, os, sys; [os.truncate(path, 0) for path in json.load(sys.stdin)]"
        volumes = ("--volumes-from", self.container, "--entrypoint", "/usr/bin/python3")
        docker("run", "--rm", "--interactive", *volumes, self._tag(), "-c", empty, stdin=json.dumps(lost))
        return [str(path) for path in lost]

    def _tag(self) -> str:
        return str(json.loads(docker("inspect", self.container).stdout)[0]["Config"]["Image"])

    def boot(self) -> None:
        """Start the container again after `cut_power`: with its file systems, but an empty ``/run``."""
        docker("start", self.container)
        self.find()

    def rename(self, name: str) -> None:
        """Give the container another name, under which it can be reached from now on."""
        docker("rename", self.container, name)
        self.container = name

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.container)

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    # The host

    def exec(
        self, argv: list[str], user: str | None = None, stdin: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the container, as the image's user by default."""
        as_user = ["--user", user] if user else []
        return docker("exec", "--interactive", *as_user, self.container, *argv, stdin=stdin, check=check)

    @contextlib.contextmanager
    def running(self, argv: list[str]) -> Iterator[subprocess.Popen[str]]:
        """A command that runs in the container until its standard input is closed at the end of the block."""
        command = ["docker", "exec", "--interactive", self.container, *argv]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin
            try:
                yield process
            finally:
                process.stdin.close()

    def write(self, path: str, text: str, mode: str = "0644", owner: str | None = None) -> None:
        self.exec(["sh", "-c", 'cat > "$1" && chmod "$2" "$1"', "sh", path, mode], stdin=text)
        if owner:
            self.exec(["chown", owner, path], user="root")

    def read(self, path: str) -> str:
        return self.exec(["cat", path]).stdout

    def copy_out(self, path: str, archive: Path) -> None:
        """Write a file or folder of the container into a tar archive, under its last name."""
        with archive.open("wb") as file:
            subprocess.run(
                ["docker", "cp", "--archive", f"{self.container}:{path}", "-"], stdout=file, check=True
            )

    def exists(self, path: str) -> bool:
        return self.exec(["test", "-e", path], check=False).returncode == 0

    def service(self, verb: str) -> None:
        """``start``, ``stop`` or ``restart`` the hub with its service manager."""
        self.exec([*self.layout.control, verb, "jupyterhub"])

    def log(self) -> str:
        """What the hub wrote, to be shown when a test fails."""
        if self.layout.systemd_unit:
            return self.exec(["journalctl", "--no-pager", "--unit", self.layout.systemd_unit]).stdout
        return self.read("/home/hub/log/jupyterhub.log")

    # The hub

    @property
    def url(self) -> str:
        return f"http://{self.address}:{PORT}"

    def api(
        self, path: str, token: str | None = "token-of-admin", method: str = "GET", data: Any = None
    ) -> Answer:
        """Ask ``/hub/api`` + ``path``, through the proxy, from outside the container."""
        headers = {"Authorization": f"token {token}"} if token else {}
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.url}/hub/api{path}", body, headers, method=method)
        return _ask(lambda: urllib.request.urlopen(request, timeout=30))

    def version(self) -> str | None:
        """The version that the running hub states, or None while it does not answer."""
        answer = self.api("", token=None)
        return answer.body["version"] if answer.status == 200 else None

    def wait_until_answers(self, version: str | None = None, timeout: float = 60) -> None:
        """Wait until the hub answers, as ``version`` if one is named."""
        self._wait(
            lambda: self.version() is not None if version is None else self.version() == version,
            f"hub {version or ''} to answer",
            timeout,
        )

    def start_server(self, user: str) -> None:
        """Start the user's single-user server through the API and wait until it is ready."""
        asked = self.api(f"/users/{user}/server", method="POST")
        assert asked.status in (201, 202), asked
        self._wait(lambda: self._server_is_ready(user), f"server of {user}", timeout=120)

    def stop_server(self, user: str) -> None:
        asked = self.api(f"/users/{user}/server", method="DELETE")
        assert asked.status in (202, 204), asked
        self._wait(
            lambda: not self.api(f"/users/{user}").body["servers"], f"stop of {user}'s server", timeout=60
        )

    def server_processes(self) -> dict[str, int]:
        """The processes of users' servers, by user."""
        script = """
            for pid in $(pgrep -f '[j]upyterhub-singleuser'); do
                tr '\\0' '\\n' < /proc/$pid/environ | sed -n "s/^JUPYTERHUB_USER=/$pid /p"
            done
        """
        lines = self.exec(["sh", "-c", script], check=False).stdout.splitlines()
        return {user: int(pid) for pid, user in (line.split() for line in lines)}

    def _server_is_ready(self, user: str) -> bool:
        return bool(self.api(f"/users/{user}").body["servers"].get("", {}).get("ready"))

    def _wait(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Waited {timeout:.0f} s for the {what}:\n{self.log()[-4000:]}")
            time.sleep(0.1)

    def single_user_version(self, user: str) -> str:
        """The version that the user's running server states."""
        request = urllib.request.Request(f"{self.url}/user/{user}/api", method="GET")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(answer.headers["X-JupyterHub-Version"])

    def log_in(self, user: str, password: str = "testbed") -> dict[str, str]:
        """The cookies of a user who logged in through the form, as a browser does.

        Like a user, it tries once more: JupyterHub 4.1 signs a form's token and its cookie one after the
        other, each with the second that it is, and refuses the form when these differ.
        """
        try:
            return self._log_in(user, password)
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.FORBIDDEN:
                raise
            return self._log_in(user, password)

    def _log_in(self, user: str, password: str) -> dict[str, str]:
        jar = http.cookiejar.CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        page = browser.open(f"{self.url}/hub/login", timeout=30).read().decode()
        hidden = re.search(r'name="_xsrf" value="([^"]+)"', page)
        fields = {"username": user, "password": password, "_xsrf": hidden.group(1) if hidden else ""}
        form = urllib.parse.urlencode(fields).encode()
        browser.open(f"{self.url}/hub/login?next=%2Fhub%2Fhome", form, timeout=30)
        cookies = {cookie.name: str(cookie.value) for cookie in jar}
        assert self.knows(cookies), f"{user} could not log in"
        return cookies

    def knows(self, cookies: dict[str, str]) -> bool:
        """Whether the hub takes these cookies for a logged-in user's."""
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        page = urllib.request.Request(f"{self.url}/hub/home", headers={"Cookie": header})
        with urllib.request.urlopen(page, timeout=30) as shown:
            return "/hub/login" not in shown.geturl()

    # What must not change

    def fingerprint(self) -> dict[str, Any]:
        """Everything that makes the hub what it is: environments, config, secrets, database, service.

        Two fingerprints are equal when nothing of it changed. What a serving hub changes by itself is left
        out: the times of last activity, and servers that come and go. See ``fingerprint.py`` and ``rows.py``.
        """
        layout = {
            "environments": self.layout.environments,
            "config": [self.layout.config_file, f"{self.layout.config_folder}/roles.py"],
            "database": self.layout.database,
            "secrets": self.layout.secrets,
            "systemd_unit": self.layout.systemd_unit,
        }
        found: dict[str, Any] = self._ask_host("fingerprint.py", json.dumps(layout))
        found["database"].update(rows.fingerprint(self.rows()))
        return found

    def environments(self, suffix: str) -> dict[str, Any]:
        """The environments beside the hub's own, as its fingerprint will have them once they are in place.

        Their paths are those of the hub's own with ``suffix``.
        """
        beside = [f"{path}{suffix}" for path in self.layout.environments]
        layout = {"environments": beside, "config": [], "secrets": [], "systemd_unit": ""}
        found = self._ask_host("fingerprint.py", json.dumps({**layout, "database": self.layout.database}))
        return {
            path: {**found["environments"][there], "target": path}
            for path, there in zip(self.layout.environments, beside)
        }

    def rows(self) -> rows.Rows:
        """Every row of every table of the hub's database; see ``rows.py``."""
        found: rows.Rows = self._ask_host("rows.py", self.layout.database)
        return found

    def _ask_host(self, script: str, argument: str) -> Any:
        """The JSON that one of our scripts prints in the container."""
        text = Path(__file__).with_name(script).read_text()
        return json.loads(self.exec(["/usr/bin/python3", "-", argument], stdin=text).stdout)

    # The collection

    def playbook(
        self,
        name: str,
        variables: dict[str, Any] | None = None,
        check: bool = False,
        expect_rc: int | None = 0,
        beside: tuple[Hub, ...] = (),
    ) -> PlaybookResult:
        """Run ``playbooks/<name>`` of this checkout against the hub, with ``variables`` in the inventory.

        The hubs ``beside`` it are in the inventory with the same variables; the result is this one's. Raises
        AssertionError with the whole output when the exit status is not ``expect_rc`` (None: any).
        """
        with tempfile.TemporaryDirectory() as folder:
            inventory, report = Path(folder, "inventory.json"), Path(folder, "report.json")
            # What a hub does long after its start is for a fault to show.
            usual = {"jupyterhub_report_fetch": str(report), "jupyterhub_watch_seconds": 0}
            wanted = {**usual, **(variables or {})}
            fleet = self.inventory(wanted)
            for number, other in enumerate(beside):
                theirs = {**wanted, "jupyterhub_report_fetch": f"{folder}/{number}.json"}
                fleet["jupyterhub"]["hosts"].update(other.inventory(theirs)["jupyterhub"]["hosts"])
            inventory.write_text(json.dumps(fleet))
            finished = subprocess.run(
                [
                    Path(sys.executable).with_name("ansible-playbook"),
                    *("--inventory", inventory, f"playbooks/{name}"),
                    *(["--check"] if check else []),
                ],
                cwd=REPOSITORY,
                env={
                    **os.environ,
                    **prepared.environment(CONNECTION),
                    "ANSIBLE_PIPELINING": "1",
                    "ANSIBLE_FORCE_COLOR": "0",
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            made = json.loads(report.read_text()) if report.exists() else {}
        assert expect_rc in (None, finished.returncode), (
            f"exit status {finished.returncode}\n{finished.stdout}"
        )
        return PlaybookResult(finished.returncode, finished.stdout, made)

    def inventory(self, variables: dict[str, Any]) -> dict[str, Any]:
        """An inventory with this hub as its only host."""
        connection = {
            "ansible_connection": CONNECTION,
            # The engine answers late on a busy machine.
            "ansible_docker_timeout": 120,
            "ansible_python_interpreter": "/usr/bin/python3",
            # What the world knows of packages today is no part of a test.
            "jupyterhub_audit": "never",
        }
        return {"jupyterhub": {"hosts": {self.container: {**connection, **variables}}}}


def docker(*arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of the engine. Raises RuntimeError with what it says when it fails."""
    finished = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, text=True)
    if check and finished.returncode != 0:
        raise RuntimeError(f"docker {' '.join(arguments)[:500]}: {finished.stderr or finished.stdout}")
    return finished


def _ask(request: Callable[[], Any]) -> Answer:
    """Send a request; an error status is an answer too, and no connection is status 0."""
    try:
        with request() as response:
            status, text = response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    except OSError as error:
        return Answer(0, str(error))
    try:
        return Answer(status, json.loads(text))
    except ValueError:
        return Answer(status, text)
