"""The artifact of a release: what anybody builds from the same source is the same, byte for byte."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import REPOSITORY


def checkout(folder: Path, names: list[str], written: int, umask: int) -> Path:
    """A copy whose files were written in this order, at that time, by somebody with that umask."""
    before = os.umask(umask)
    try:
        for name in names:
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, copy, follow_symlinks=False)
            os.chmod(copy, (0o777 if os.access(REPOSITORY / name, os.X_OK) else 0o666) & ~umask)
            os.utime(copy, (written, written))
    finally:
        os.umask(before)
    return folder


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Built from two checkouts of two people."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    # Of the rest nothing is built; a link may lead to what is no file.
    names = [name for name in listed.stdout.splitlines() if not (REPOSITORY / name).is_symlink()]
    names = [name for name in names if not name.startswith(("tests/", "molecule/", "demo/"))]
    folder = tmp_path_factory.mktemp("artifacts")
    built = []
    for person, order, written, umask in (("ada", 1, 10**9, 0o022), ("grace", -1, 10**9 + 60, 0o077)):
        source = checkout(folder / person, names[::order], written, umask)
        done = subprocess.run(
            [source / "tools/build", folder / f"{person}-built"],
            check=True,
            capture_output=True,
            text=True,
        )
        built.append(Path(done.stdout.strip()))
    return built


def test_two_people_build_the_same_bytes(artifacts: list[Path]) -> None:
    first, second = (hashlib.sha256(artifact.read_bytes()).hexdigest() for artifact in artifacts)
    assert first == second


def test_its_lists_are_those_of_what_is_in_it(artifacts: list[Path]) -> None:
    """As ansible-galaxy verifies them when it installs the collection."""
    with tarfile.open(artifacts[0]) as archive:
        content = {
            member.name: (archive.extractfile(member) or pytest.fail(member.name)).read()
            for member in archive.getmembers()
            if member.isfile()
        }
    manifest, files = json.loads(content.pop("MANIFEST.json")), content.pop("FILES.json")
    assert manifest["file_manifest_file"]["chksum_sha256"] == hashlib.sha256(files).hexdigest()
    listed = {each["name"]: each["chksum_sha256"] for each in json.loads(files)["files"]}
    assert {name: hashlib.sha256(each).hexdigest() for name, each in content.items()} == {
        name: checksum for name, checksum in listed.items() if checksum
    }
    assert {"SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"} <= content.keys()


@pytest.fixture
def gpg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A maintainer's key, in a keyring of its own."""
    home = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))  # the path of a socket must not be long
    monkeypatch.setenv("GNUPGHOME", str(home))
    key = ["--quick-generate-key", "Release <release@example.org>", "ed25519", "sign", "never"]
    subprocess.run(["gpg", "--batch", "--quiet", "--passphrase", "", *key], check=True)
    yield home
    subprocess.run(["gpgconf", "--kill", "all"], check=True)
    # The agent removes its sockets meanwhile.
    shutil.rmtree(home, ignore_errors=True)


def test_its_signature_is_verified_as_docs_releasing_says(
    artifacts: list[Path], gpg: Path, tmp_path: Path
) -> None:
    page = (REPOSITORY / "docs/releasing.md").read_text()
    artifact = tmp_path / "hubops-jupyterhub-0.2.0.tar.gz"
    shutil.copy(artifacts[0], artifact)
    (sign,) = re.findall(r"^\$ (tar .*--detach-sign .*)$", page, re.MULTILINE)
    (verify,) = re.findall(r"^\$ (tar .*--verify .*)$", page, re.MULTILINE)

    def shell(command: str) -> int:
        return subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True).returncode  # noqa: S602

    assert shell(sign.replace("dist/", "").replace("gpg", "gpg --batch")) == 0
    assert shell(verify) == 0
    # A file of the collection has changed, and with it the lists.
    with tarfile.open(artifact) as archive:
        manifest = (archive.extractfile("MANIFEST.json") or pytest.fail("no manifest")).read()
    (tmp_path / "MANIFEST.json").write_bytes(manifest.replace(b"hubops", b"stranger", 1))
    with tarfile.open(artifact, "w:gz") as archive:
        archive.add(tmp_path / "MANIFEST.json", "MANIFEST.json")
    assert shell(verify) == 1


def test_the_changelog_has_the_releases_and_its_fragments_are_valid() -> None:
    subprocess.run([REPOSITORY / "tools/changelog", "--check"], check=True)


def test_a_release_has_its_fragments_above_the_earlier_ones(tmp_path: Path) -> None:
    for name in ("CHANGELOG.md", "galaxy.yml", "tools/changelog", "changelogs/config.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    earlier = {"changes": {"release_summary": "Fleets."}, "release_date": "2026-12-01"}
    known = {"ancestor": None, "releases": {"7.1.0": earlier}}
    (tmp_path / "changelogs/changelog.yaml").write_text(yaml.safe_dump(known))
    (tmp_path / "changelogs/fragments").mkdir()
    (tmp_path / "changelogs/fragments/1.yml").write_text("release_summary: Soak times.\n")
    galaxy = (tmp_path / "galaxy.yml").read_text()
    (tmp_path / "galaxy.yml").write_text(re.sub("(?m)^version: .*", "version: 7.2.0", galaxy))
    subprocess.run([tmp_path / "tools/changelog"], check=True)
    page = (tmp_path / "CHANGELOG.md").read_text()
    found = [page.index(each) for each in ("Soak times", "Fleets", "## 0.1.0 (not yet released)")]
    assert found == sorted(found)
    assert not list((tmp_path / "changelogs/fragments").glob("*.yml"))
    subprocess.run([tmp_path / "tools/changelog", "--check"], check=True)
