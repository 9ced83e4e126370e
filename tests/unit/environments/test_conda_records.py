"""What is recorded in conda environments, as conda, mamba and micromamba write it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.conda import CondaEnvironment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.conda_records import (
    Spec,
    channels,
    pins_against,
    programs_of_history,
    records,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.conda_shares import CondaPackages

FORGE = "https://conda.anaconda.org/conda-forge"
MAIN = "https://repo.anaconda.com/pkgs/main"
LOCAL = "file:///srv/channel"


def record(root: Path, name: str, version: str, url: str = "", files: tuple[str, ...] = ()) -> None:
    """What conda writes of a package that it has installed."""
    (root / "conda-meta").mkdir(parents=True, exist_ok=True)
    data = {"name": name, "version": version, "build": "0", "url": url, "md5": "0" * 32, "files": list(files)}
    (root / f"conda-meta/{name}-{version}-0.json").write_text(json.dumps(data))


def distribution(root: Path, name: str, version: str) -> None:
    """What any installer writes of a package for Python."""
    folder = root / f"lib/python3.11/site-packages/{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    record(tmp_path, "python", "3.11.7", f"{FORGE}/linux-64/python-3.11.7-0.conda")
    record(tmp_path, "openssl", "3.0.13", f"{MAIN}/linux-64/openssl-3.0.13-0.conda")
    record(tmp_path, "tornado", "6.4", f"{FORGE}/linux-64/tornado-6.4-0.conda")
    distribution(tmp_path, "tornado", "6.4")
    return tmp_path


def with_jupyterhub(root: Path) -> Path:
    """JupyterHub in its three parts, of which one has the code."""
    for name in ("jupyterhub", "jupyterhub-singleuser"):
        record(root, name, "4.1.6", f"{LOCAL}/noarch/{name}-4.1.6-0.tar.bz2")
    files = ("site-packages/jupyterhub/app.py",)
    record(root, "jupyterhub-base", "4.1.6", f"{LOCAL}/noarch/jupyterhub-base-4.1.6-0.tar.bz2", files)
    distribution(root, "jupyterhub", "4.1.6")
    return root


def test_the_channel_of_jupyterhub_comes_first(root: Path) -> None:
    assert channels(records(root).values()) == [FORGE, MAIN]
    assert channels(records(with_jupyterhub(root)).values()) == [LOCAL, FORGE, MAIN]


def test_a_package_from_a_file_has_no_channel(tmp_path: Path) -> None:
    record(tmp_path, "jupyterhub", "4.1.6", "file:///root/jupyterhub-4.1.6-0.tar.bz2")
    record(tmp_path, "tornado", "6.4")
    assert channels(records(tmp_path).values()) == []


def test_records_that_cannot_be_read_are_none(root: Path) -> None:
    (root / "conda-meta/broken.json").write_text("{")
    (root / "conda-meta/other.json").write_text('{"name": "x"}')
    assert sorted(records(root)) == ["openssl", "python", "tornado"]


def test_the_program_that_was_used_last_comes_first(tmp_path: Path) -> None:
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "conda-meta/history").write_text(
        "==> 2024-01-01 00:00:00 <==\n# cmd: /opt/conda/bin/conda create -p /opt/hub\n+x\n"
        "==> 2024-02-01 00:00:00 <==\n# cmd: /opt/conda/bin/mamba install jupyterhub\n+x\n"
        "==> 2024-03-01 00:00:00 <==\n# cmd: /opt/conda/bin/conda install y\n"
    )
    assert programs_of_history(tmp_path) == ["/opt/conda/bin/conda", "/opt/conda/bin/mamba"]
    assert programs_of_history(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("line", "is_against"),
    [
        ("jupyterhub 4.*", True),
        ("jupyterhub 4.1.*", True),
        ("jupyterhub ==4.1.6", True),
        ("jupyterhub=4", True),
        ("jupyterhub =4.1", True),
        ("jupyterhub 4.1.6 pyh31011fe_0", True),
        ("jupyterhub>=4,<6", True),
        ("conda-forge::jupyterhub <5", True),
        ("jupyterhub 6.*", False),
        ("jupyterhub=6.1", False),
        ("jupyterhub >=4", False),
        ("jupyterhub 4.*|6.*", False),
        ("jupyterhub", False),
        ("# jupyterhub 4.*", False),
        ("jupyterhub-base 4.*", False),
        ("", False),
    ],
)
def test_pins(line: str, is_against: bool, root: Path) -> None:
    (root / "conda-meta/pinned").write_text(f"python 3.11.*\n{line}\n")
    wanted = [Spec("jupyterhub", "==6.1.1"), Spec("tornado", ">=6")]
    assert pins_against(root, wanted) == ([line] if is_against else [])


@pytest.mark.parametrize(
    ("requirement", "conda", "pip"),
    [
        (
            "jupyterhub==6.1.1",
            ["jupyterhub==6.1.1", "jupyterhub-base==6.1.1", "jupyterhub-singleuser==6.1.1"],
            [],
        ),
        ("tornado>=6, <7", ["tornado>=6,<7"], []),
        ("oauthenticator>=17", ["oauthenticator>=17"], []),
        ("nativeauthenticator>=1", [], ["nativeauthenticator>=1"]),
        ("x @ https://example.org/x.whl", [], ["x @ https://example.org/x.whl"]),
        ("https://example.org/x.whl", [], ["https://example.org/x.whl"]),
        ('tomli>=2; python_version < "3.11"', [], []),
    ],
)
def test_who_fulfils_what_where_jupyterhub_is_condas(
    root: Path, requirement: str, conda: list[str], pip: list[str]
) -> None:
    distribution(with_jupyterhub(root), "nativeauthenticator", "1.0")
    packages = CondaPackages(root)
    shares = packages.shares([requirement])
    assert ([str(spec) for spec in shares.conda], list(shares.pip)) == (conda, pip)
    hub = packages.jupyterhub()
    assert hub
    assert hub.name == "jupyterhub-base"


@pytest.mark.parametrize(
    ("requirement", "conda", "pip"),
    [
        ("jupyterhub==6.1.1", [], ["jupyterhub==6.1.1"]),
        ("oauthenticator>=17", [], ["oauthenticator>=17"]),
        ("tornado>=6", ["tornado>=6"], []),
    ],
)
def test_who_fulfils_what_where_pip_has_installed_jupyterhub(
    root: Path, requirement: str, conda: list[str], pip: list[str]
) -> None:
    distribution(root, "jupyterhub", "4.1.6")
    shares = CondaPackages(root).shares([requirement])
    assert ([str(spec) for spec in shares.conda], list(shares.pip)) == (conda, pip)
    assert CondaPackages(root).jupyterhub() is None


def test_what_pip_has_installed_over_condas_package_is_pips(root: Path) -> None:
    record(root, "jupyterhub-base", "4.0.0", f"{FORGE}/noarch/jupyterhub-base-4.0.0-0.conda")
    distribution(root, "jupyterhub", "4.1.6")
    assert CondaPackages(root).shares(["jupyterhub==6.1.1"]).pip == ("jupyterhub==6.1.1",)


def test_both_kinds_of_packages_are_listed(root: Path) -> None:
    distribution(root, "jupyterhub", "4.1.6")
    environment = CondaEnvironment(str(root))
    assert environment.packages() == {
        "python": "3.11.7",
        "openssl": "3.0.13",
        "tornado": "6.4",
        "jupyterhub": "4.1.6",
    }
    assert environment.package_list() == [
        "@EXPLICIT",
        f"{FORGE}/linux-64/python-3.11.7-0.conda#{'0' * 32}",
        f"{FORGE}/linux-64/tornado-6.4-0.conda#{'0' * 32}",
        f"{MAIN}/linux-64/openssl-3.0.13-0.conda#{'0' * 32}",
        "# pip: jupyterhub==4.1.6",
    ]
