"""A backup at S3: moto's server stands in for it, and Amazon's own `aws` from PyPI asks it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Backup

from tests.hubs import real_hub
from tests.redeployments.keycloak import free_port
from tests.redeployments.restored_site import RestoredSite

PACKAGES = ("moto==5.2.5", "flask", "flask-cors", "py-partiql-parser", "awscli")
ADDRESS = "s3://backups/2026/home.tar"
#: Seconds until the server must answer, on two cores that are busy.
PATIENCE = 180


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder with both programs, in a venv of their own: `aws` needs older packages than the tests."""
    venv = real_hub.CACHE / f"s3-{hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:12]}"
    real_hub.CACHE.mkdir(parents=True, exist_ok=True)
    with venv.with_name(f"{venv.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (venv / "complete").exists():
            subprocess.run(["uv", "venv", "--quiet", "--clear", "--python", sys.executable, venv], check=True)
            install = ["uv", "pip", "install", "--quiet", "--python", venv / "bin/python"]
            subprocess.run([*map(str, install), *PACKAGES], check=True)
            (venv / "complete").touch()
    return venv / "bin"


@pytest.fixture(scope="module")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; it forgets everything at its end."""
    port = free_port()
    with (tmp_path_factory.mktemp("s3") / "log").open("w") as log:
        process = subprocess.Popen(
            [programs / "moto_server", "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/").close()
                break
            assert process.poll() is None and time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def aws(programs: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program in the environment of a play; the bucket is there."""
    variables = {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "planted-key",
        "AWS_SECRET_ACCESS_KEY": "planted-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    program = programs / "aws"
    subprocess.run([program, "s3api", "create-bucket", "--bucket", "backups"], check=True)
    return program


@pytest.fixture
def site(tmp_path: Path) -> RestoredSite:
    """Before its first step."""
    found = RestoredSite(tmp_path)
    found.forget("back_up")
    return found


def put(aws: Path, file: Path, *options: str) -> None:
    argv = [aws, "s3api", "put-object", "--bucket", "backups", "--key", "2026/home.tar", "--body", file]
    subprocess.run([*map(str, argv), *options], check=True, stdout=subprocess.DEVNULL)


def take(site: RestoredSite, folder: Path, step: str, backup: Backup, database: str = "") -> str:
    wanted = site.wanted(
        user_data=backup,
        hub_database=Backup(database or str(folder / "jupyterhub.sqlite")),
        restored_data=str(folder),
        restored_database=str(folder / "jupyterhub.sqlite"),
    )
    return redeployment.take(wanted, step).message


def test_an_object_is_believed_as_far_as_s3_shows_it(site: RestoredSite, aws: Path, tmp_path: Path) -> None:
    tar = tmp_path / "home.tar"
    content = tar.read_bytes()
    digest = hashlib.sha256(content)
    noted = Backup(ADDRESS, digest.hexdigest(), len(content))

    with pytest.raises(HubError, match="S3 does not show the backup s3://backups/2026/home.tar: .*404"):
        take(site, tmp_path, "back_up", noted)
    put(aws, tar)
    with pytest.raises(HubError, match="S3 has no SHA-256 of the backup"):
        take(site, tmp_path, "back_up", noted)

    # What somebody has uploaded is another one.
    other = tmp_path / "other.tar"
    other.write_bytes(content + bytes(512))
    put(aws, other, "--checksum-algorithm", "SHA256")
    with pytest.raises(HubError, match=rf"has {len(content) + 512} bytes, not {len(content)} and the checks"):
        take(site, tmp_path, "back_up", noted)
    assert site.evidence("back_up") == {}

    put(aws, tar, "--checksum-algorithm", "SHA256")
    with pytest.raises(HubError, match="Nothing is noted that the backup"):
        take(site, tmp_path, "back_up", Backup(ADDRESS))
    with pytest.raises(HubError, match="is at S3, where nobody sees what is in it"):
        take(site, tmp_path, "back_up", noted, database="s3://backups/jupyterhub.sqlite")
    for checksum in (digest.hexdigest(), base64.b64encode(digest.digest()).decode()):
        site.forget("back_up") if site.evidence("back_up") else None
        assert take(site, tmp_path, "back_up", Backup(ADDRESS, checksum, len(content))) == "carried out"
        evidence = site.evidence("back_up")
        assert evidence["user_data"] == ADDRESS
        assert evidence["user_data_content"] == f"{len(content)} bytes at S3"
    assert "planted" not in (site.kept / "redeployment.json").read_text()
