"""A release of the chart in a namespace of its own: what its people do, and the playbooks that upgrade it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .. import prepared
from ..kubernetes import Cluster

ROOT = Path(__file__).parents[3]
CONNECTION = "ansible.builtin.local"
#: Seconds until a hub or a server must answer, on two cores that are busy.
PATIENCE = 180
TOKEN = secrets.token_hex(16)
#: What a release is installed with: an administrator, a service for the tests, and people with a password.
VALUES: dict[str, Any] = {
    "proxy": {"service": {"type": "ClusterIP"}},
    "singleuser": {"memory": {"guarantee": "50M"}, "storage": {"capacity": "100Mi"}},
    "hub": {
        "config": {
            "DummyAuthenticator": {"password": "testbed"},
            "Authenticator": {"admin_users": ["admin"], "allowed_users": ["ada", "bob"]},
        },
        "services": {"tests": {"admin": True, "apiToken": TOKEN}},
    },
}
#: What a hub that only runs does not change in its database, where that is on its volume.
ROWS = """
import pathlib, sqlite3
file = pathlib.Path("/srv/jupyterhub/jupyterhub.sqlite")
database = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True) if file.exists() else None
for query in () if database is None else (
    "SELECT 'revision', version_num FROM alembic_version",
    "SELECT 'table', name FROM sqlite_master WHERE type = 'table' ORDER BY name",
    "SELECT 'user', id, name, admin, created, cookie_id FROM users ORDER BY id",
    # Of a person without a server a hub writes a row when it is asked for that person.
    "SELECT 'spawner', id, user_id, name, state FROM spawners WHERE server_id > 0 ORDER BY id",
    "SELECT 'token', id, user_id, service_id, hashed, prefix, created FROM api_tokens ORDER BY id",
):
    for row in database.execute(query):
        print(*row, sep="|")
"""


class State(NamedTuple):
    """What people have of a release."""

    chart: str
    """Of the revision that Helm has deployed."""
    jupyterhub: str
    """As the hub answers."""
    users: tuple[str, ...]
    volumes: dict[str, str]
    """The volume that each person's claim is bound to."""
    servers: dict[str, str]
    """The pod of each running server, and when it was started."""
    image: str
    rows: tuple[str, ...]
    """Of the hub's database, where that is on its volume."""


class Release:
    """A release named ``hub``, and the API of its hub with the rights of an administrator."""

    def __init__(self, cluster: Cluster, charts: dict[str, Path], folder: Path, namespace: str) -> None:
        self.cluster, self.charts, self.folder, self.namespace = cluster, charts, folder, namespace
        # While a module works, Ansible would ask a thousand times a second whether it has ended.
        (folder / "ansible.cfg").write_text("[defaults]\ninternal_poll_interval = 0.01\n")
        self._direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        cluster.kubectl("create", "namespace", namespace)

    def install(self, version: str, values: dict[str, Any] | None = None, helm: int = 4) -> None:
        """Install a version of the chart, and wait for its hub."""
        self._helm("install", version, VALUES if values is None else values, helm)

    def upgrade_by_helm(self, version: str) -> None:
        """What an administrator does without this collection."""
        self._helm("upgrade", version, VALUES, 4)

    def remove(self) -> None:
        """Remove the namespace with all that is in it; nobody waits for that."""
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints in this namespace."""
        return self.cluster.kubectl(f"--namespace={self.namespace}", *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Any:
        """The objects that ``kubectl get`` finds in this namespace."""
        return self.cluster.get(f"--namespace={self.namespace}", *arguments)

    def helm(self, *arguments: str) -> Any:
        """What Helm tells of this namespace."""
        return json.loads(self.cluster.helm(*arguments, f"--namespace={self.namespace}", "--output=json"))

    def file(self, name: str, content: Any) -> Path:
        """A file of values or variables."""
        path = self.folder / name
        path.write_text(json.dumps(content))
        return path

    def ask(self, method: str, path: str) -> Any:
        """The answer of the hub's API, through the proxy as people reach it."""
        content = self._open(method, f"/hub/api{path}")
        return json.loads(content) if content else None

    def wait_for_hub(self) -> None:
        """Wait until the hub answers through the proxy: its pod is ready a little earlier."""
        self.wait("the hub answers", self._answers)

    def in_hub(self, program: str, *arguments: str) -> str:
        """What a program in the hub's Python prints."""
        argv = ("exec", "deploy/hub", "--container", "hub", "--", "python3", "-c", program, *arguments)
        return self.kubectl(*argv)

    def start_server(self, person: str) -> None:
        """Start a person's server, as the button does, and wait until the hub says that it is ready."""
        self.ask("POST", f"/users/{person}/server")
        self.wait(f"{person}'s server is ready", lambda: self._server(person).get("ready", False))

    def stop_server(self, person: str) -> None:
        """Stop a person's server, and wait until it is gone."""
        self.ask("DELETE", f"/users/{person}/server")
        self.wait(f"{person}'s server has stopped", lambda: not self._server(person))

    def reaches_server(self, person: str) -> bool:
        """Whether a person's server is reached as its user does: the proxy leads there, not to the hub."""
        with contextlib.suppress(OSError, ValueError):
            return "started" in json.loads(self._open("GET", f"/user/{person}/api/status"))
        return False

    def in_server(self, person: str, command: str) -> str:
        """What a command in a person's server prints."""
        return self.kubectl("exec", f"pod/jupyter-{person}", "--", "sh", "-c", command)

    def volumes(self) -> dict[str, str]:
        """The volume of each claim in the namespace."""
        claims = self.get("persistentvolumeclaims")["items"]
        return {claim["metadata"]["name"]: claim["spec"]["volumeName"] for claim in claims}

    def state(self) -> State:
        """What people have of it now."""
        self.wait_for_hub()
        pods = self.get("pods", "--selector", "component=singleuser-server")["items"]
        claims = self.get("pvc", "--selector", "component=singleuser-storage")["items"]
        deployed = [each for each in self.helm("history", "hub") if each["status"] == "deployed"]
        assert len(deployed) == 1, deployed
        hub = self.get("deployment", "hub")
        return State(
            chart=deployed[0]["chart"].rpartition("-")[2],
            jupyterhub=self.ask("GET", "/")["version"],
            users=tuple(sorted(user["name"] for user in self.ask("GET", "/users"))),
            volumes={each["metadata"]["name"]: each["spec"]["volumeName"] for each in claims},
            servers={each["metadata"]["name"]: each["status"]["startTime"] for each in pods},
            image=hub["spec"]["template"]["spec"]["containers"][0]["image"],
            rows=tuple(self.in_hub(ROWS).splitlines()),
        )

    def guards(self) -> list[str]:
        """What is left of guards."""
        kinds = "jobs,configmaps,secrets,serviceaccounts,roles,rolebindings"
        selector = "app.kubernetes.io/managed-by=hubops"
        return [each["metadata"]["name"] for each in self.get(kinds, "--selector", selector)["items"]]

    def containers(self) -> set[str]:
        """The identifiers of the containers in this namespace, as the cluster has them in its records."""
        pods = self.get("pods")["items"]
        return {
            container["containerID"]
            for pod in pods
            for container in pod["status"].get("containerStatuses", [])
            if "containerID" in container
        }

    def wait_for_pods(self, ended: set[str]) -> None:
        """Wait until all pods of the namespace are ready, and none of them by a container that has ended.

        Where the power of a node was cut, the cluster takes its pods for ready until it has looked.
        """
        self.wait("the containers are others", lambda: not ended & self.containers())
        ready = ("wait", "pod", "--all", "--for=condition=Ready", f"--timeout={PATIENCE}s")
        self.kubectl(*ready)

    def playbook(self, name: str, *arguments: str, **variables: Any) -> tuple[int, str]:
        """Run a playbook; its exit status, and what it printed."""
        process = self.start_playbook(name, *arguments, **variables)
        printed, _none = process.communicate()
        return process.returncode, printed

    def upgrade(self, version: str, **variables: Any) -> tuple[int, str]:
        """Run the upgrade's playbook."""
        return self.playbook("z2jh_upgrade.yml", **{**self.wanted(version), **variables})

    def wanted(self, version: str) -> dict[str, Any]:
        """Variables of an upgrade to a version of the chart."""
        # What a rehearsal would refuse is let through, for the guard to meet it.
        chart = str(self.charts[version])
        return {"z2jh_chart": chart, "z2jh_chart_version": version, "z2jh_rehearse": False}

    def start_playbook(self, name: str, *arguments: str, **variables: Any) -> subprocess.Popen[str]:
        """Start a playbook, as an administrator does, in a session of its own."""
        return self._start((), name, arguments, variables)

    def start_playbook_apart(self, name: str, **variables: Any) -> subprocess.Popen[str]:
        """Start a playbook as on a machine of its own: all of its processes end with this one."""
        apart = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
        return self._start(apart, name, (), variables)

    def wait(self, what: str, is_so: Callable[[], bool]) -> None:
        """Wait until something is so; after too long, what is there is told."""
        limit = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > limit:
                raise TimeoutError(f"After {PATIENCE} s it is not so that {what}:\n{self._circumstances()}")
            time.sleep(0.3)

    def _open(self, method: str, path: str) -> bytes:
        address = self.get("service", "proxy-public")["spec"]["clusterIP"]
        request = urllib.request.Request(f"http://{address}{path}", method=method)
        request.add_header("Authorization", f"token {TOKEN}")
        with self._direct.open(request, timeout=60) as answer:
            return bytes(answer.read())

    def _server(self, person: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/users/{person}")["servers"].get("", {}))

    def _helm(self, verb: str, version: str, values: dict[str, Any], helm: int) -> None:
        self.cluster.helm(
            verb,
            "hub",
            str(self.charts[version]),
            f"--namespace={self.namespace}",
            f"--values={self.file('values.json', values)}",
            "--wait",
            f"--timeout={PATIENCE}s",
            version=helm,
        )
        self.wait_for_hub()

    def _start(
        self, before: Sequence[str], name: str, arguments: Sequence[str], variables: dict[str, Any]
    ) -> subprocess.Popen[str]:
        usual = {
            "z2jh_namespace": self.namespace,
            "z2jh_kubectl": str(self.cluster.kubectl_program),
            "z2jh_helm": str(self.cluster.helm4_program),
        }
        extra = self.file("variables.json", {**usual, **variables})
        return subprocess.Popen(
            [
                *before,
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("--inventory", "localhost,", "--connection", CONNECTION, "--extra-vars", f"@{extra}"),
                *(str(ROOT / "playbooks" / name), *arguments),
            ],
            env={
                **self.cluster.environment,
                **prepared.environment(CONNECTION),
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_ASYNC_DIR": str(self.folder / "jobs"),
                "PATH": os.environ["PATH"],
            },
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.ask("GET", "/"))
        return False

    def _circumstances(self) -> str:
        return self.kubectl("get", "pods,events") + self.kubectl("logs", "deployment/hub", "--tail=60")


@contextlib.contextmanager
def new_release(cluster: Cluster, charts: dict[str, Path], folder: Path) -> Iterator[Release]:
    """A release that is not installed yet, for the block; ``folder``: for its files."""
    release = Release(cluster, charts, folder, f"hubops-{secrets.token_hex(4)}")
    try:
        yield release
    finally:
        release.remove()
