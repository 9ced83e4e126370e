from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import (
    discovery,
    environment,
    packages,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

from tests.hubs import real_hub


@pytest.fixture(scope="module")
def hub() -> Path:
    return real_hub.environment("4.1.6")


def make_venv(path: Path, packages: dict[str, str]) -> Path:
    site_packages = path / "lib" / "python3.11" / "site-packages"
    site_packages.mkdir(parents=True)
    (path / "bin").mkdir()
    (path / "bin" / "python").symlink_to(os.path.realpath("/bin/sh"))
    (path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.2\n")
    for name, version in packages.items():
        add_package(site_packages, name, version)
    return path


def add_package(site_packages: Path, name: str, version: str) -> None:
    information = site_packages / f"{name.replace('-', '_')}-{version}.dist-info"
    information.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: of the description\n"
    (information / "METADATA").write_text(metadata)


def script(path: Path, shebang: str, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{shebang}\n{text}")
    path.chmod(0o755)
    return path


def test_a_real_environment_is_read_as_its_own_python_reads_it(hub: Path) -> None:
    program = (
        "import json, platform; from importlib.metadata import distributions;"
        "found = {d.metadata['Name'].lower().replace('_', '-').replace('.', '-'): d.version "
        "for d in distributions()}; print(json.dumps([platform.python_version(), found]))"
    )
    argv = [str(hub / "bin" / "python"), "-I", "-c", program]
    version, packages = json.loads(subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout)
    found = environment.read_environment(hub)
    assert environment.all_packages(hub) == packages
    assert found.python_version == version
    assert found.jupyterhub == "4.1.6"
    assert found.kind == "venv"
    assert found.python == f"{hub}/bin/python"
    assert {"jupyterhub", "sqlalchemy", "alembic", "tornado"} <= set(found.packages)
    assert "certifi" not in found.packages


def test_an_environment_is_named_as_asked_and_not_resolved(hub: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(hub)
    assert environment.read_environment(link).path == str(link)
    assert discovery.environment_of_script(str(link / "bin" / "jupyterhub"), "") == str(link)


def test_conda(tmp_path: Path) -> None:
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "conda-meta" / "python-3.12.1-hab00c5b_0_cpython.json").touch()
    site_packages = tmp_path / "lib" / "python3.12" / "site-packages"
    site_packages.mkdir(parents=True)
    add_package(site_packages, "JupyterHub", "5.4.6")
    found = environment.read_environment(tmp_path)
    assert (found.kind, found.python_version, found.jupyterhub) == ("conda", "3.12.1", "5.4.6")


def test_the_systems_own_python() -> None:
    found = environment.read_environment("/usr")
    assert found.kind == "system"
    assert (found.python_version or "").startswith("3.")


def test_a_venv_that_sees_the_systems_packages(tmp_path: Path) -> None:
    base = tmp_path / "base" / "lib" / "python3.11" / "site-packages"
    base.mkdir(parents=True)
    (tmp_path / "base" / "bin").mkdir()
    add_package(base, "jupyterhub", "4.0.0")
    add_package(base, "tornado", "6.4")
    path = make_venv(tmp_path / "venv", {"jupyterhub": "4.1.6"})
    (path / "pyvenv.cfg").write_text(
        f"home = {tmp_path}/base/bin\ninclude-system-site-packages = true\nversion = 3.11.2\n"
    )
    assert environment.all_packages(path) == {"jupyterhub": "4.1.6", "tornado": "6.4"}


def test_a_missing_python_is_reported(tmp_path: Path) -> None:
    path = make_venv(tmp_path / "venv", {"jupyterhub": "4.1.6"})
    (path / "bin" / "python").unlink()
    (path / "bin" / "python").symlink_to(tmp_path / "python3.9")
    assert environment.read_environment(path).python is None


def test_what_a_broken_removal_leaves_behind_is_no_package(tmp_path: Path) -> None:
    path = make_venv(tmp_path / "venv", {"jupyterhub": "4.1.6"})
    (path / "lib" / "python3.11" / "site-packages" / "tornado-6.4.dist-info").mkdir()
    assert environment.all_packages(path) == {"jupyterhub": "4.1.6"}


def test_old_eggs_are_packages(tmp_path: Path) -> None:
    path = make_venv(tmp_path / "venv", {})
    egg = path / "lib" / "python3.11" / "site-packages" / "pamela-1.0.egg-info"
    egg.write_text("Metadata-Version: 1.0\nName: pamela\nVersion: 1.0\n")
    assert environment.all_packages(path) == {"pamela": "1.0"}


def test_one_package_is_found_under_its_exact_name(tmp_path: Path) -> None:
    path = make_venv(tmp_path / "venv", {"jupyterhub-idle-culler": "1.4.0", "jupyterhub": "4.1.6"})
    assert packages.installed_version(path, "jupyterhub") == "4.1.6"
    assert packages.installed_version(path, "jupyterhub-idle-culler") == "1.4.0"
    assert packages.installed_version(path, "jupyterlab") is None


def test_a_folder_that_is_no_environment(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=f"There is no Python environment at {tmp_path}"):
        environment.read_environment(tmp_path)


@pytest.mark.parametrize(
    ("venv", "shebang", "text"),
    [
        ("venv", "{bin}/python", ""),
        ("venv", "/usr/bin/env python", ""),
        ("venv", "/usr/bin/env -S A=1 python", ""),
        ("my venv", "/bin/sh", "'''exec' \"{bin}/python\" \"$0\" \"$@\"\n' '''\n"),
        ("my venv", "/bin/sh", 'export A=1\nexec "{bin}/jupyterhub-singleuser" "$@"\n'),
    ],
)
def test_a_script_elsewhere_names_its_environment(tmp_path: Path, venv: str, shebang: str, text: str) -> None:
    path = make_venv(tmp_path / venv, {})
    names = {"bin": path / "bin"}
    elsewhere = script(tmp_path / "usr" / "bin" / "single", shebang.format(**names), text.format(**names))
    assert discovery.environment_of_script(str(elsewhere), f"{path}/bin:/usr/bin") == str(path)


@pytest.mark.parametrize(
    "command",
    [
        ["{path}/bin/jupyterhub-singleuser"],
        ["jupyterhub-singleuser", "--debug"],
        ["/usr/bin/env", "A=1", "{path}/bin/jupyterhub-singleuser"],
        ["{path}/bin/python", "-m", "jupyterhub.singleuser"],
    ],
)
def test_the_environment_of_a_single_user_command(tmp_path: Path, command: list[str]) -> None:
    path = make_venv(tmp_path / "venv", {})
    script(path / "bin" / "jupyterhub-singleuser", f"{path}/bin/python")
    words = [word.format(path=path) for word in command]
    assert discovery.environment_of_command(words, f"/usr/bin:{path}/bin") == str(path)


def test_a_command_that_is_nowhere_has_no_environment() -> None:
    assert discovery.environment_of_command(["jupyterhub-singleuser"], "/nowhere") is None
    assert discovery.environment_of_command([], "/usr/bin") is None


def test_globs_take_environments_only(tmp_path: Path) -> None:
    for name in ("2023", "2024"):
        make_venv(tmp_path / name, {})
    (tmp_path / "not one").mkdir()
    expected = [str(tmp_path / "2023"), str(tmp_path / "2024")]
    assert discovery.expand_environments([f"{tmp_path}/*", f"{tmp_path}/2024/"]) == expected
    names = ["2024", "20*", "nobody"]
    assert discovery.expand_environments([f"{tmp_path}/{{username}}"], lambda: names) == [f"{tmp_path}/2024"]
    assert discovery.expand_environments([f"{tmp_path}/{{username}}"]) == expected


@pytest.mark.parametrize("pattern", ["nothing", "nothing-*"])
def test_a_pattern_that_leads_to_nothing(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(HubError, match="There is no Python environment at"):
        discovery.expand_environments([f"{tmp_path}/{pattern}"])
