"""The cluster, asked and changed by the field's own programs: kubectl and Helm, 3 or 4.

Arguments are lists, never a shell's. What may hold secrets (values, manifests) goes through standard input.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, fields
from typing import Any, Sequence

from ..errors import HubError

#: Seconds that a program may take which only asks; one that waits gets its own time on top.
ASKING_SECONDS = 120
NO_LOG = "unable to retrieve container logs for "

#: What the programs write where no API server answers.
_UNREACHABLE = re.compile(
    r"connection refused|no such host|i/o timeout|TLS handshake timeout|network is unreachable"
    r"|no route to host|ubernetes cluster unreachable|Unable to connect to the server|was refused - did you"
    r"|no configuration has been provided|context .*does not exist|stat .*kubeconfig.*: no such file"
)
_NO_CHART = re.compile(
    r"valid chart repository|chart .*not found|no chart |non-absolute URLs|Chart.yaml file is missing"
    r"|path .* not found|repo .* not found|failed to (download|fetch|perform)|no cached repo"
)
_NOISE = re.compile(r"WARNING: |W\d{4} |level=WARN")
_PREFIX = re.compile(r"^(Error|error|Error from server \(\w+\)): ")
_FORBIDDEN = re.compile(r'cannot (\w+) resource "([^"]+)"(?: in API group "([^"]*)")?')


class CommandError(HubError):
    """A program of the cluster has failed; ``output`` is what it wrote as its error, ``code`` how it ended.

    ``code`` is None where it did not run, or did not end.
    """

    def __init__(self, message: str, hint: str = "", output: str = "", code: int | None = None) -> None:
        super().__init__(message, hint)
        self.output = output
        self.code = code

    @property
    def cluster_failure(self) -> bool:
        """Whether it is about the cluster or a right, not about what the program was asked for."""
        return self.unreachable or bool(_FORBIDDEN.search(self.output))

    @property
    def unreachable(self) -> bool:
        """Whether no API server answered, so that nothing is known."""
        return self.code is None or bool(_UNREACHABLE.search(self.output))


@dataclass(frozen=True)
class Access:
    """How the cluster is reached; what is empty is what the programs take by themselves."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    helm: str = "helm"
    kubectl: str = "kubectl"

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Access:
        """That of a module's arguments."""
        return cls(**{field.name: params[field.name] for field in fields(cls)})

    def describe(self) -> str:
        """The cluster as a message names it."""
        named = [f"context {self.context}"] if self.context else []
        named += [f"kubeconfig {self.kubeconfig}"] if self.kubeconfig else []
        return f"the cluster ({', '.join(named)})" if named else "the cluster of the current context"


@dataclass(frozen=True)
class Chart:
    """A chart: a folder, a file, ``oci://...``, ``repository/name``, or a name in ``repository``, a URL."""

    reference: str
    repository: str = ""
    version: str = ""

    def argv(self) -> list[str]:
        return [
            self.reference,
            *(["--repo", self.repository] if self.repository else []),
            *(["--version", self.version] if self.version else []),
        ]


def chart_of(reference: str, repository: str, version: str) -> Chart:
    """A chart as an administrator names it: a repository belongs only to a plain name."""
    plain = "/" not in reference and not reference.endswith(".tgz")
    return Chart(reference, repository if plain else "", version)


def run(argv: Sequence[str], access: Access, stdin: bytes = b"", timeout: float = ASKING_SECONDS) -> bytes:
    """What a program has printed. Raises `CommandError` where it is missing, fails, or takes too long (s)."""
    program = argv[0]
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=timeout,
        )
    except FileNotFoundError:
        raise CommandError(
            f"The program {program} is not on this host.",
            "Install it here, or set z2jh_kubectl and z2jh_helm to where it is.",
        ) from None
    except OSError as error:
        raise CommandError(
            f"The program {program} cannot be run: {error.strerror}.",
            "Set z2jh_kubectl and z2jh_helm to programs of this host.",
        ) from error
    except subprocess.TimeoutExpired:
        raise CommandError(
            f"{program} {_verb(argv)} has not ended within {timeout:.0f} s.",
            f"See whether {access.describe()} answers: kubectl version.",
        ) from None
    if done.returncode:
        raise failure(argv, access, done.stderr.decode(errors="replace"), done.returncode)
    return done.stdout


def failure(argv: Sequence[str], access: Access, output: str, code: int) -> CommandError:
    """What a program's error means: no cluster, no right, or its own words."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and not _NOISE.match(line)]
    text = _PREFIX.sub("", lines[-1]) if lines else "it does not say why"
    if _NO_CHART.search(text):
        return CommandError(
            f"The chart cannot be had: {text}.",
            "Check z2jh_chart, z2jh_chart_repository and z2jh_chart_version: helm show chart must find it.",
            output,
            code,
        )
    if forbidden := _FORBIDDEN.search(output):
        verb, resource, group = forbidden[1], forbidden[2], forbidden[3]
        named = f"{resource}.{group}" if group else resource
        return CommandError(
            f"The account may not {verb} {named} in {access.describe()}.",
            f"Let the cluster's administrator grant it: kubectl auth can-i {verb} {named}.",
            output,
            code,
        )
    if _UNREACHABLE.search(output):
        return CommandError(
            f"{access.describe().capitalize()} does not answer: {text}.",
            "Check z2jh_kubeconfig and z2jh_context: kubectl cluster-info must work on this host.",
            output,
            code,
        )
    return CommandError(
        f"{argv[0]} {_verb(argv)} has failed: {text}.",
        "Correct what it names, and run the playbook again.",
        output,
        code,
    )


def _verb(argv: Sequence[str]) -> str:
    """The command within a program, such as ``rollout status``."""
    first, second = [*argv[1:3], "", ""][:2]
    return f"{first} {second}" if first in ("get", "show", "rollout", "auth") and second.isalpha() else first


@dataclass(frozen=True)
class Kubectl:
    """The objects of one namespace."""

    access: Access

    def run(self, *argv: str, stdin: bytes = b"", timeout: float = ASKING_SECONDS) -> bytes:
        """Any command of kubectl, in the namespace."""
        return run(self.argv(*argv), self.access, stdin, timeout)

    def argv(self, *argv: str) -> list[str]:
        """The whole command line of a command of kubectl."""
        access = self.access
        return [
            access.kubectl,
            *argv[:1],
            *(["--kubeconfig", access.kubeconfig] if access.kubeconfig else []),
            *(["--context", access.context] if access.context else []),
            *(["--namespace", access.namespace] if access.namespace else []),
            *argv[1:],
        ]

    def get(
        self, kind: str, name: str | None = None, selector: str | None = None, everywhere: bool = False
    ) -> list[dict[str, Any]]:
        """The objects of a kind (``pods``, ``pods,services``); none where a named one does not exist."""
        argv = ["get", kind, "--output", "json", "--ignore-not-found"]
        argv += [name] if name else []
        argv += ["--selector", selector] if selector else []
        argv += ["--all-namespaces"] if everywhere else []
        printed = self.run(*argv)
        if not printed.strip():
            return []
        found = json.loads(printed)
        return list(found["items"]) if "items" in found else [found]

    def one(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object of that name, if it is there."""
        found = self.get(kind, name)
        return found[0] if found else None

    def apply(self, manifests: Sequence[dict[str, Any]]) -> None:
        """Make the objects be as given. By the server, which keeps no copy of a secret in an annotation."""
        whole = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        argv = ["apply", "--server-side", "--force-conflicts", "--field-manager", "hubops", "--filename", "-"]
        self.run(*argv, stdin=json.dumps(whole).encode())

    def delete(self, kind: str, name: str, wait: bool = True, timeout: float = 60) -> None:
        """Remove an object, if it is there; ``wait`` for at most ``timeout`` seconds until it is gone."""
        self.run(
            *("delete", kind, name, "--ignore-not-found", f"--wait={str(wait).lower()}"),
            *([f"--timeout={timeout:.0f}s"] if wait else []),
            timeout=ASKING_SECONDS + timeout,
        )

    def exec(
        self,
        pod: str,
        argv: Sequence[str],
        stdin: bytes | None = None,
        container: str = "",
        timeout: float = ASKING_SECONDS,
    ) -> bytes:
        """What a program in a pod (``name``, or ``deploy/name``) has printed."""
        return self.run(
            *("exec", pod),
            *(["--container", container] if container else []),
            *(["--stdin"] if stdin is not None else []),
            *("--", *argv),
            stdin=stdin or b"",
            timeout=timeout,
        )

    def logs(self, name: str, container: str = "", tail: int = -1, previous: bool = False) -> str:
        """The last ``tail`` lines of a pod's log (``name``, or ``job/name``); all of them unless given.

        '' where the node has removed it.
        """
        log = self.run(
            *("logs", name, f"--tail={tail}"),
            *(["--container", container] if container else []),
            *(["--previous"] if previous else []),
        ).decode(errors="replace")
        # The node says so in place of a log, and kubectl ends with 0.
        return "" if log.startswith(NO_LOG) else log

    def wait(self, name: str, condition: str, timeout: float) -> None:
        """Return once ``kind/name`` has the condition (``condition=Ready``, ``delete``); seconds."""
        self.run(
            *("wait", name, f"--for={condition}", f"--timeout={timeout:.0f}s"),
            timeout=ASKING_SECONDS + timeout,
        )

    def wait_rollout(self, name: str, timeout: float) -> None:
        """Return once ``deployment/name`` is rolled out; seconds."""
        self.run(*("rollout", "status", name, f"--timeout={timeout:.0f}s"), timeout=ASKING_SECONDS + timeout)

    def scale(self, name: str, replicas: int) -> None:
        """Have ``deployment/name`` as many pods."""
        self.run("scale", name, f"--replicas={replicas}")

    def can_i(self, verb: str, resource: str) -> bool:
        """Whether the account has a right in the namespace, such as ``get`` of ``secrets``."""
        try:
            return self.run("auth", "can-i", verb, resource).decode().strip().startswith("yes")
        except CommandError as error:
            # It also fails where the answer is no.
            if error.unreachable:
                raise
            return False

    def server_version(self) -> str:
        """The version of the cluster, ``v1.34.2``."""
        return str(json.loads(self.run("version", "--output", "json"))["serverVersion"]["gitVersion"])


@dataclass(frozen=True)
class Helm:
    """The releases of one namespace. Helm 3 and 4 keep them in the same Secrets."""

    access: Access

    def run(self, *argv: str, stdin: bytes = b"", timeout: float = ASKING_SECONDS) -> bytes:
        """Any command of Helm, in the namespace."""
        return run(self.argv(*argv), self.access, stdin, timeout)

    def argv(self, *argv: str) -> list[str]:
        """The whole command line of a command of Helm."""
        access = self.access
        return [
            access.helm,
            *argv,
            *(["--kubeconfig", access.kubeconfig] if access.kubeconfig else []),
            *(["--kube-context", access.context] if access.context else []),
            *(["--namespace", access.namespace] if access.namespace else []),
        ]

    def major(self) -> int:
        """3 or 4. Raises HubError for any other."""
        printed = self.run("version", "--template", "{{.Version}}").decode().strip()
        found = re.match(r"v(\d+)\.", printed)
        if not found or int(found[1]) not in (3, 4):
            raise HubError(f"{self.access.helm} is Helm {printed}.", "Helm 3 or 4 is needed.")
        return int(found[1])

    def releases(self, everywhere: bool = False) -> list[dict[str, Any]]:
        """The newest revision of each release: name, namespace, revision, status, chart, app_version."""
        states = ("--deployed", "--failed", "--pending", "--uninstalling", "--uninstalled")
        argv = ["list", "--output", "json", "--max", "0", *states]
        return list(json.loads(self.run(*argv, *(["--all-namespaces"] if everywhere else []))))

    def status(self, name: str, revision: int = 0) -> dict[str, Any]:
        """A revision of a release, the newest unless given: info, manifest, hooks; may hold secrets."""
        argv = ["status", name, "--output", "json", *self._revision(revision)]
        return dict(json.loads(self.run(*argv)))

    def history(self, name: str) -> list[dict[str, Any]]:
        """The revisions, oldest first: revision, updated, status, chart, app_version, description."""
        return list(json.loads(self.run("history", name, "--output", "json")))

    def values(self, name: str, revision: int = 0, everything: bool = False) -> dict[str, Any]:
        """What the user has supplied; ``everything``: with the chart's defaults. May hold secrets."""
        argv = ["get", "values", name, "--output", "json", *self._revision(revision)]
        return dict(json.loads(self.run(*argv, *(["--all"] if everything else []))) or {})

    def manifest(self, name: str, revision: int = 0) -> str:
        """The objects of a revision as YAML; holds secrets."""
        return self.run("get", "manifest", name, *self._revision(revision)).decode()

    def template(
        self,
        name: str,
        chart: Chart,
        values: dict[str, Any],
        kube_version: str = "",
        schema: bool = True,
        server: bool = False,
    ) -> str:
        """The objects that a chart makes of values, without hooks, as YAML; holds secrets.

        ``server``: templates may look at what the cluster has, such as a Secret whose content they keep.
        """
        return self.run(
            *("template", name, *chart.argv(), "--is-upgrade", "--no-hooks", "--values", "-"),
            *(["--dry-run=server"] if server else []),
            *(["--kube-version", kube_version] if kube_version else []),
            *([] if schema else ["--skip-schema-validation"]),
            stdin=json.dumps(values).encode(),
        ).decode()

    def show_chart(self, chart: Chart) -> str:
        """A chart's Chart.yaml."""
        return self.run("show", "chart", *chart.argv()).decode()

    def show_values(self, chart: Chart) -> str:
        """A chart's values.yaml: its defaults."""
        return self.run("show", "values", *chart.argv()).decode()

    def upgrade(
        self,
        name: str,
        chart: Chart,
        values: dict[str, Any],
        timeout: float,
        wait: bool = True,
        description: str = "",
    ) -> None:
        """Upgrade the release to all ``values`` of the user; ``wait`` at most ``timeout`` seconds for it."""
        self.run(
            *("upgrade", name, *chart.argv(), "--values", "-", "--reset-values", "--cleanup-on-fail"),
            *(["--description", description] if description else []),
            *self._waiting(wait, timeout),
            stdin=json.dumps(values).encode(),
            timeout=ASKING_SECONDS + timeout,
        )

    def rollback(self, name: str, revision: int, timeout: float, wait: bool = True) -> None:
        """Make a revision current again, as a new revision; seconds."""
        self.run(
            *("rollback", name, str(revision), "--cleanup-on-fail"),
            *self._waiting(wait, timeout),
            timeout=ASKING_SECONDS + timeout,
        )

    def uninstall(self, name: str, timeout: float) -> None:
        """Remove a release and its objects, and wait until they are gone; seconds."""
        self.run(*("uninstall", name), *self._waiting(True, timeout), timeout=ASKING_SECONDS + timeout)

    @staticmethod
    def _waiting(wait: bool, timeout: float) -> list[str]:
        return [*(["--wait"] if wait else []), f"--timeout={timeout:.0f}s"]

    @staticmethod
    def _revision(revision: int) -> list[str]:
        return [f"--revision={revision}"] if revision else []
