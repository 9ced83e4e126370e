"""A real Kubernetes cluster of one node on this machine, or the one that ``KUBECONFIG`` names.

``with running_cluster() as cluster`` starts the node and removes it, unless it runs already. Of several
processes that do so at once the first one starts it, and the last one removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from .api import Api
from .provisioner import STORAGE_CLASS
from .settings import CGROUP, HOST_ADDRESS, NODE_ADDRESS, PAUSE, PODS, SERVICES, WIRE, write_settings

ROOT = Path(__file__).parents[3]
INTERFACE = "hubops-node"
# What is meant for a node that does not run must not leave this machine.
NETWORKS = (WIRE, PODS, SERVICES)
LAST_RESORT = "4000000000"
KUBECONFIG = "settings/administrator.kubeconfig"
#: In the folder of a node that was started for a test run.
FOR_TESTS = "for-tests"
#: Seconds until the node must be ready; it takes 6 to 10.
PATIENCE = 300
#: Seconds until this machine's end of a dead node's wire is removed.
WIRE_SECONDS = 30


class Cluster:
    """How to use a cluster: its programs, and what most tests ask it."""

    def __init__(self, kubeconfig: Path, binaries: Path) -> None:
        self.kubeconfig = kubeconfig
        self.kubectl_program = binaries / "kubectl"
        self.helm4_program = binaries / "helm"
        self.helm3_program = binaries / "helm3" / "helm"

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which tools find this cluster."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints; a failure has its whole output."""
        return self._run(self.kubectl_program, arguments, stdin)

    def get(self, *arguments: str) -> Any:
        """The objects that ``kubectl get`` finds, or the one that is named."""
        return json.loads(self.kubectl("get", "--output=json", *arguments))

    def helm(self, *arguments: str, version: int = 4) -> str:
        """What Helm 3 or 4 prints; a failure has its whole output."""
        return self._run(self.helm4_program if version == 4 else self.helm3_program, arguments, None)

    def load(self, images: Iterable[str]) -> None:
        """Give the nodes the images of this machine's Docker engine that they lack."""
        raise NotImplementedError

    @contextlib.contextmanager
    def power(self, cut: bool) -> Iterator[None]:
        """A block in which nobody else cuts the nodes' power; ``cut``: in which nobody else needs it."""
        yield

    def _run(self, program: Path, arguments: Iterable[str], stdin: str | None) -> str:
        done = subprocess.run(
            [program, *arguments], env=self.environment, input=stdin, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program.name} {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout


class OneNode(Cluster):
    """The cluster of this test bed, in one folder and below one process."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        super().__init__(folder / KUBECONFIG, binaries)
        self.folder = folder
        self._binaries = binaries

    @property
    def runs(self) -> bool:
        """Whether the node's first process runs."""
        return self._node() is not None

    def start(self) -> None:
        """Start the node, anew or with all that it had when it was stopped, and wait until it is ready."""
        if not (self.folder / "settings").exists():
            write_settings(self.folder)
            (self.folder / "logs").mkdir()
        for network in NETWORKS:
            _ip("route", "replace", "unreachable", network, "metric", LAST_RESORT)
        for controller in _cgroups():
            (controller / CGROUP).mkdir(exist_ok=True)
        self._start_node()
        self._wait("the API server answers", Api(self.folder).is_ready)
        self.kubectl("apply", "--filename=-", stdin=json.dumps(STORAGE_CLASS))
        self._spawn("provisioner", sys.executable, "-m", "tests.testbed.kubernetes.provisioner", self.folder)
        self._wait("containerd answers", lambda: self._ctr("version").returncode == 0)
        self.load([_pause(self._binaries)])
        self._wait("the node is ready", self._node_is_ready)

    def stop(self) -> None:
        """End the node as a power cut does, and leave its folder."""
        for name in ("provisioner", "node"):
            pid = self._pid(name)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            (self.folder / f"{name}.pid").unlink(missing_ok=True)
        # With its last process its end of the wire goes; the kernel was seen to keep it for minutes.
        patience = time.monotonic() + WIRE_SECONDS

        def is_gone() -> bool:
            if time.monotonic() > patience:
                subprocess.run(["ip", "link", "delete", INTERFACE], capture_output=True)
            return not Path("/sys/class/net", INTERFACE).exists()

        self._wait("the node has ended", is_gone)
        _remove_cgroups()

    def remove(self) -> None:
        """End the node, and remove all that it has, if there is any of it."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=not self.folder.exists())
        for network in NETWORKS:
            _ip("route", "replace", "unreachable", network, "metric", LAST_RESORT)
            _ip("route", "delete", "unreachable", network, "metric", LAST_RESORT)

    def load(self, images: Iterable[str]) -> None:
        listed = self._ctr("images", "list", "--quiet").stdout.split()
        missing = [image for image in images if f"docker.io/{image}" not in listed]
        if not missing:
            return
        with self._lock("images"):
            listed = self._ctr("images", "list", "--quiet").stdout.split()
            missing = [image for image in missing if f"docker.io/{image}" not in listed]
            if missing:
                self._import(missing)

    @contextlib.contextmanager
    def power(self, cut: bool) -> Iterator[None]:
        with self._lock("power", fcntl.LOCK_EX if cut else fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """A block in which the node runs: started unless it does, and removed by the last who uses it so."""
        with self._lock("users", fcntl.LOCK_UN) as users:
            try:
                with self._lock("start"):
                    fcntl.flock(users, fcntl.LOCK_SH)
                    if not self.runs:
                        # Whatever an earlier run may have left.
                        self.remove()
                        self.folder.mkdir()
                        (self.folder / FOR_TESTS).touch()
                        self.start()
                yield
            finally:
                with self._lock("start"), contextlib.suppress(BlockingIOError):
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if (self.folder / FOR_TESTS).exists():
                        self.remove()

    @contextlib.contextmanager
    def _lock(self, name: str, kind: int = fcntl.LOCK_EX) -> Iterator[IO[str]]:
        """A lock beside the node's folder, between processes."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with Path(f"{self.folder}.{name}").open("w") as file:
            fcntl.flock(file, kind)
            yield file

    def _import(self, missing: Iterable[str]) -> None:
        with subprocess.Popen(["docker", "save", *missing], stdout=subprocess.PIPE) as saved:
            done = self._ctr("images", "import", "-", stdin=saved.stdout)
        if saved.returncode != 0 or done.returncode != 0:
            raise RuntimeError(f"The node does not take the images {missing}: {done.stderr}")

    def _start_node(self) -> None:
        inner: list[str | Path] = [
            sys.executable,
            "-m",
            "tests.testbed.kubernetes.node",
            self.folder,
            self._binaries,
        ]
        apart = ["--mount", "--net", "--pid", "--ipc", "--uts", "--mount-proc"]
        pid = self._spawn("node", "unshare", *apart, "--fork", "--kill-child", *inner)
        children = Path(f"/proc/{pid}/task/{pid}/children")
        self._wait("the node has a process", lambda: bool(children.read_text().split()))
        first = children.read_text().split()[0]
        _ip("link", "add", INTERFACE, "type", "veth", "peer", "name", "eth0", "netns", first)
        _ip("address", "add", f"{HOST_ADDRESS}/30", "dev", INTERFACE)
        _ip("link", "set", INTERFACE, "up")
        for network in (PODS, SERVICES):
            _ip("route", "add", network, "via", NODE_ADDRESS)

    def _spawn(self, name: str, *command: str | Path) -> int:
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.folder / f"{name}.pid").write_text(str(process.pid))
        return process.pid

    def _pid(self, name: str) -> int | None:
        """The process that was started by this name, if it still runs."""
        try:
            pid = int((self.folder / f"{name}.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except FileNotFoundError:
            return None
        return pid if str(self.folder) in command else None

    def _node(self) -> int | None:
        return self._pid("node")

    def _node_is_ready(self) -> bool:
        nodes = self.get("nodes")["items"]
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for node in nodes
            for condition in node["status"].get("conditions", [])
        )

    def _ctr(self, *arguments: str, stdin: Any = None) -> subprocess.CompletedProcess[str]:
        address = f"--address={self.folder}/run/containerd.sock"
        return subprocess.run(
            ["ctr", address, "--namespace=k8s.io", *arguments], stdin=stdin, capture_output=True, text=True
        )

    def _wait(self, what: str, is_so: Any) -> None:
        limit = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > limit:
                raise TimeoutError(f"After {PATIENCE} s it is not so that {what}: see {self.folder}/logs.")
            time.sleep(0.2)


class Given(Cluster):
    """A cluster that was there before, and stays."""

    def load(self, images: Iterable[str]) -> None:
        """Its nodes have the images, or pull them: whoever gave the cluster saw to that."""


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """The cluster that ``KUBECONFIG`` names, or the test bed's, started for the block if it does not run."""
    given = os.environ.get("KUBECONFIG")
    if given and Path(given) != _folder() / KUBECONFIG:
        yield Given(Path(given), _programs("clients"))
        return
    node = one_node()
    with node.used():
        yield node


def one_node() -> OneNode:
    """The cluster of this test bed, which may not run."""
    return OneNode(_folder(), _programs())


def _folder() -> Path:
    """Where the node keeps its files."""
    return Path(_output(ROOT / "tools" / "test-disk") or "/var/lib/hubops-tests", "kubernetes")


def _programs(*which: str) -> Path:
    """Where the programs of a cluster are, built if they are not yet."""
    return Path(_output(ROOT / "tools" / "kubernetes", *which).splitlines()[-1])


def _output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _pause(binaries: Path) -> str:
    """The image of what holds a pod's namespaces, made from the program alone."""
    if subprocess.run(["docker", "image", "inspect", PAUSE], capture_output=True).returncode != 0:
        archive = ["tar", "--create", "--directory", str(binaries), "pause"]
        with subprocess.Popen(archive, stdout=subprocess.PIPE) as tree:
            command = ["docker", "import", "--change", 'ENTRYPOINT ["/pause"]', "-", PAUSE]
            subprocess.run(command, stdin=tree.stdout, check=True, capture_output=True)
    return PAUSE


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _cgroups() -> list[Path]:
    """The folders of all controllers, of the first version of cgroups or of the second."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return [root]
    folders = (folder for folder in root.iterdir() if not folder.is_symlink())
    return [folder for folder in folders if (folder / "cgroup.procs").exists() and folder.name != "unified"]


def _remove_cgroups() -> None:
    """Remove the cgroups of the pods, whose processes are dead or dying."""
    for controller in _cgroups():
        for folder in sorted((controller / CGROUP).rglob("*/"), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            (controller / CGROUP).rmdir()
