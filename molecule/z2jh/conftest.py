"""The scenario's release, and what is remembered of it from before the upgrades."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

NAMESPACE = "hubops-molecule"
TOKEN = "0123456789abcdef0123456789abcdef"


class Site:
    """The release as kubectl, helm and its own API tell of it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.folder = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
        self.memory = self.folder / "memory.json"
        self._cluster = json.loads((self.folder / "cluster.json").read_text())

    def run(self, program: str, *arguments: str) -> str:
        """What kubectl or helm prints."""
        argv = [f"{self._cluster['programs']}/{program}", f"--kubeconfig={self._cluster['kubeconfig']}"]
        words = [*argv, f"--namespace={NAMESPACE}", *arguments]
        return str(self.host.check_output(" ".join(["%s"] * len(words)), *words))

    def get(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        argv = ("get", kind, "--output=json", *((f"--selector={selector}",) if selector else ()))
        return list(json.loads(self.run("kubectl", *argv))["items"])

    def ask(self, path: str, method: str = "GET") -> Any:
        """What the hub's API answers."""
        address = self.run("kubectl", "get", "service", "proxy-public", "--output=jsonpath={.spec.clusterIP}")
        words = ("--fail", "--silent", "--show-error", "--noproxy", "*", "--request", method)
        header = f"Authorization: token {TOKEN}"
        argv = ("curl", *words, "--header", header, f"http://{address}/hub/api{path}")
        return json.loads(self.host.check_output(" ".join(["%s"] * len(argv)), *argv) or "null")

    def people(self) -> dict[str, str]:
        """When each user was created."""
        return {user["name"]: user["created"] for user in self.ask("/users")}

    def volumes(self) -> dict[str, str]:
        """The volume of each claim."""
        return {each["metadata"]["name"]: each["spec"]["volumeName"] for each in self.get("pvc")}


@pytest.fixture
def site(host: Host) -> Site:
    return Site(host)
