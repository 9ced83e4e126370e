"""A hub that could not be started or verified again is not stopped. Real hubs, damaged while they serve."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import host
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import make_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Target
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal import rehearsal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of

from tests.hubs.real_hub import environment, free_ports, link_environment, running_hub
from tests.plans import planned_environment

OLD, NEW = "4.1.6", "6.1.1"
#: Ids of findings about this: what a healthy hub has none of.
SUBJECT = (
    *("hub-does-not-answer", "proxy-does-not-answer", "internal-ssl", "certificate-not-usable"),
    *("hub-not-running", "packages-replaced", "rehearsal-old-start"),
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A hub that serves, whose config on the disk each test may change."""
    with running_hub(OLD, tmp_path_factory.mktemp("hub")) as deployment:
        yield deployment


@pytest.fixture
def config(hub: Deployment) -> Iterator[Path]:
    """The config's file; the hub must keep running unchanged, whatever is found."""
    file, service = Path(hub.config.file or ""), service_of(hub.service)
    text, process = file.read_text(), service.main_pid()
    yield file
    file.write_text(text)
    assert service.main_pid() == process
    assert api.version(hub.config.hub_api_url) == OLD


def findings_of(name: str, base: Path) -> dict[str, str]:
    """Blockers of this subject on a host as it is now, by their ids."""
    deployment = find_deployment(name)
    plan = make_plan(deployment, Target(NEW, ">=3.10"), host.look(deployment, str(base), ""), Policy())
    return {
        each.id: each.found for each in plan.findings if each.id in SUBJECT and each.severity == "blocker"
    }


def append(file: Path, *lines: str) -> None:
    file.write_text(file.read_text() + "\n".join(lines) + "\n")


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that a key has signed for itself, and that key."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    subject = ["-subj", "/CN=localhost", "-days", "1", "-newkey", "rsa:2048", "-nodes"]
    argv: list[str | Path] = ["openssl", "req", "-x509", *subject, "-keyout", key, "-out", cert]
    subprocess.run(argv, check=True, capture_output=True)
    return cert, key


def test_a_hub_that_serves_according_to_its_config(hub: Deployment, config: Path, tmp_path: Path) -> None:
    assert findings_of(hub.name, tmp_path) == {}


def test_an_address_that_has_changed_since_the_start(hub: Deployment, config: Path, tmp_path: Path) -> None:
    [port] = free_ports(1)
    append(config, f"c.JupyterHub.hub_port = {port}")
    assert findings_of(hub.name, tmp_path) == {
        "hub-does-not-answer": f"The hub {hub.name} runs. "
        f"It does not answer at http://127.0.0.1:{port}/hub/api."
    }


def test_a_public_address_that_has_changed_since_the_start(
    hub: Deployment, config: Path, tmp_path: Path
) -> None:
    [port] = free_ports(1)
    append(config, f"c.JupyterHub.bind_url = 'http://127.0.0.1:{port}'")
    found = findings_of(hub.name, tmp_path)
    assert found.keys() == {"proxy-does-not-answer"}
    assert f"does not answer http://127.0.0.1:{port}/hub/api/: " in found["proxy-does-not-answer"]


def test_internal_ssl(hub: Deployment, config: Path, tmp_path: Path) -> None:
    append(config, "c.JupyterHub.internal_ssl = True")
    assert findings_of(hub.name, tmp_path) == {"internal-ssl": f"{config} sets JupyterHub.internal_ssl."}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (("one.crt", "one.key"), ""),
        (("one.crt", "two.key"), "key values mismatch"),
        (("one.crt", "none.key"), "No such file or directory: '{folder}/none.key'"),
        (("broken.crt", "one.key"), "PEM"),
    ],
)
def test_a_certificate_that_was_renewed(
    hub: Deployment, config: Path, tmp_path: Path, files: tuple[str, str], reason: str
) -> None:
    for name in ("one", "two"):
        certificate(tmp_path, name)
    (tmp_path / "broken.crt").write_text((tmp_path / "one.crt").read_text()[:300])
    cert, key = files
    append(
        config, f"c.JupyterHub.ssl_cert = '{tmp_path}/{cert}'", f"c.JupyterHub.ssl_key = '{tmp_path}/{key}'"
    )
    found = findings_of(hub.name, tmp_path).get("certificate-not-usable", "")
    assert found.startswith("The proxy cannot serve with its certificate: ") == bool(reason)
    assert reason.format(folder=tmp_path) in found


def test_an_environment_that_was_upgraded_under_the_hub(tmp_path: Path) -> None:
    place = link_environment(OLD, tmp_path / "env")
    with running_hub(OLD, tmp_path, place=place) as deployment:
        [metadata] = place.glob("lib/python3*/site-packages/jupyterhub-*.dist-info")
        metadata.rename(metadata.with_name("kept"))
        [newer] = environment("5.4.6").glob("lib/python3*/site-packages/jupyterhub-*.dist-info")
        subprocess.run(["cp", "-a", newer, metadata.parent], check=True)
        found = findings_of(deployment.name, tmp_path)
    url = deployment.config.hub_api_url
    said = f"It is version {OLD} at {url}, and {place} has 5.4.6."
    assert found["packages-replaced"].endswith(said)


def rehearse(deployment: Deployment, staged: Path, strategy: str = "copy") -> rehearsal.Rehearsal:
    state = staged.with_name("state")
    entry = planned_environment(environment(OLD), NEW, staged_path=str(staged), strategy=strategy)
    with migration.passing(state):
        return rehearsal.rehearse(deployment, [entry], NEW, state, start_timeout=60)


@pytest.mark.parametrize("strategy", ["copy", "in_place"])
def test_a_config_with_which_only_the_new_hub_starts(
    hub: Deployment, config: Path, tmp_path: Path, strategy: str
) -> None:
    staged = link_environment(NEW, tmp_path / "staged")
    good = rehearse(hub, staged, strategy)
    assert [each.id for each in good.findings if each.severity == "blocker"] == []
    append(config, "c.JupyterHub.load_roles = [{'name': 'new', 'scopes': ['shares'], 'users': ['user1']}]")
    found = rehearse(hub, staged, strategy)
    [blocker] = [each for each in found.findings if each.severity == "blocker"]
    assert blocker.id == "rehearsal-old-start"
    assert blocker.found.startswith(f"JupyterHub {OLD} in {environment(OLD)} does not start any more.\n")
    assert "shares" in blocker.found


@pytest.mark.parametrize("version", ["1.5.1", "2.3.1", "3.1.1", "5.4.6"])
def test_every_healthy_hub_starts_once_more(version: str, tmp_path: Path) -> None:
    with running_hub(version, tmp_path) as deployment:
        entry = planned_environment(environment(version), NEW, strategy="in_place")
        found = rehearsal.rehearse(deployment, [entry], NEW, tmp_path / "state", start_timeout=60)
    assert [each.id for each in found.findings] == ["not-rehearsed"]
