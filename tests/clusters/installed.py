"""A release of the stand-in chart in a namespace of its own, as people use it, upgraded by the playbooks."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests import REPOSITORY
from tests.testbed.kubernetes import Cluster

TOKEN = secrets.token_hex(16)
#: What each release is installed with: an administrator for the tests, and three people.
VALUES: dict[str, Any] = {
    "proxy": {"service": {"type": "ClusterIP"}},
    "singleuser": {"memory": {"guarantee": "50M"}, "storage": {"capacity": "100Mi"}},
    "hub": {
        "config": {
            "DummyAuthenticator": {"password": "testbed"},
            "Authenticator": {"admin_users": ["admin"], "allowed_users": ["ada", "bob"]},
        },
        "services": {"tests": {"apiToken": TOKEN}},
        "loadRoles": {"tests": {"scopes": ["admin:users", "admin:servers"], "services": ["tests"]}},
    },
}
ASK = """
import json, sys, urllib.error, urllib.request
method, path, token = sys.argv[1:]
request = urllib.request.Request("http://127.0.0.1:8081/hub/api" + path, method=method)
request.add_header("Authorization", "token " + token)
try:
    with urllib.request.urlopen(request, timeout=30) as reply:
        print(reply.read().decode() or "null")
except urllib.error.HTTPError as error:
    sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")
"""


class State(NamedTuple):
    """What people have of a release."""

    chart: str
    """Of the revision that Helm has deployed."""
    jupyterhub: str
    """As the hub answers."""
    users: tuple[str, ...]
    volumes: dict[str, str]
    """The volume that each claim is bound to."""
    servers: dict[str, str]
    """The pod of each running server, and when it was started."""
    image: str


class Installed:
    """A release, installed in a new namespace."""

    def __init__(self, cluster: Cluster, charts: dict[str, Path], folder: Path, namespace: str) -> None:
        self.cluster, self.charts, self.folder, self.namespace = cluster, charts, folder, namespace
        self.kubectl("create", "namespace", namespace)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Any:
        return self.cluster.get("--namespace", self.namespace, *arguments)

    def helm(self, *arguments: str) -> Any:
        return json.loads(self.cluster.helm(*arguments, "--namespace", self.namespace, "--output", "json"))

    def install(self, version: str, given: dict[str, Any] = VALUES) -> None:
        values = self.file("values.json", given)
        self.cluster.helm(
            *("install", "hub", str(self.charts[version]), "--namespace", self.namespace),
            *("--values", str(values), "--wait", "--timeout", "180s"),
        )

    def file(self, name: str, content: Any) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(content))
        return path

    def remove(self) -> None:
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def ask(self, method: str, path: str) -> Any:
        argv = ("exec", "deploy/hub", "--container", "hub", "--", "python3", "-c", ASK, method, path, TOKEN)
        return json.loads(self.kubectl(*argv))

    def start_server(self, user: str, seconds: float = 120) -> None:
        """Start a person's server, as the button does."""
        self.ask("POST", f"/users/{user}/server")
        deadline = time.monotonic() + seconds
        while not self.ask("GET", f"/users/{user}").get("server"):
            assert time.monotonic() < deadline, f"The server of {user} has not started."
            time.sleep(0.5)

    def in_server(self, user: str, command: str) -> str:
        """What a command in a person's server prints."""
        return self.kubectl("exec", f"jupyter-{user}", "--", "sh", "-c", command)

    def state(self) -> State:
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
        )

    def guards(self) -> list[str]:
        """What is left of guards."""
        kinds = "jobs,configmaps,secrets,serviceaccounts,roles,rolebindings"
        selector = "app.kubernetes.io/managed-by=hubops"
        return [each["metadata"]["name"] for each in self.get(kinds, "--selector", selector)["items"]]

    def start_playbook(self, name: str, *arguments: str, **variables: Any) -> subprocess.Popen[str]:
        """Start a playbook, as an administrator does, in a session of its own."""
        usual = {
            "z2jh_namespace": self.namespace,
            "z2jh_kubectl": str(self.cluster.kubectl_program),
            "z2jh_helm": str(self.cluster.helm4_program),
        }
        extra = self.file("variables.json", {**usual, **variables})
        playbook = REPOSITORY / "playbooks" / name
        return subprocess.Popen(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("--inventory", "localhost,", "--connection", "local", "--extra-vars", f"@{extra}"),
                *(str(playbook), *arguments),
            ],
            env={
                **self.cluster.environment,
                "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".collections"),
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

    def playbook(self, name: str, *arguments: str, **variables: Any) -> tuple[int, str]:
        """Run a playbook; its exit status, and what it printed."""
        process = self.start_playbook(name, *arguments, **variables)
        printed, _none = process.communicate()
        return process.returncode, printed

    def upgrade(self, version: str, **variables: Any) -> tuple[int, str]:
        wanted = {"z2jh_chart": str(self.charts[version]), "z2jh_chart_version": version}
        # What a rehearsal would refuse is let through, for the guard to meet it.
        return self.playbook("z2jh_upgrade.yml", **{**wanted, "z2jh_rehearse": False, **variables})
