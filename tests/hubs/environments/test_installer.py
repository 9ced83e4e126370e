"""What a target needs, and packages installed into environments, by uv and by pip."""

from __future__ import annotations

import base64
import http.server
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.asking import target_facts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.environment import (
    read_environment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    Installer,
    InstallerOptions,
    installer_options,
    without_credentials,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.packages import all_packages
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.pip_settings import (
    read_pip_settings,
    uv_settings,
    without_index,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError

from tests.hubs.small_wheels import UV, make_hub_wheel, make_venv, make_wheel

FIX_NETWORK = (
    "Fix the network or the proxy settings, or name an index in jupyterhub_index_url or a folder of wheels "
    "in jupyterhub_wheels."
)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0.0", "1.1.0", "2.0.0b1", "2.0.0", "3.0.0"):
        make_hub_wheel(folder, version, requires_python=">=3.98" if version == "3.0.0" else ">=3.6")
    make_wheel(folder, "theauthenticator", "1.0", requires=["jupyterhub<2"])
    make_wheel(folder, "theauthenticator", "2.0", requires=["jupyterhub>=2"])
    return folder


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """An environment with pip in it, so that both installers have what they need."""
    path = tmp_path_factory.mktemp("old") / "hub"
    return make_venv(path, wheels, "jupyterhub==1.0.0", "theauthenticator==1.0", pip=True)


@pytest.fixture(params=["uv", "pip"])
def tool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PATH", f"{Path(UV).parent}:{os.environ['PATH']}")
    return str(request.param)


@pytest.fixture
def no_pip_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def closed_port() -> int:
    """A port of the loopback interface that refuses connections: it was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def facts(old: Path, version: str, **options: str) -> dict[str, Any]:
    return target_facts(version, read_environment(old), InstallerOptions(**options))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at https://bob:secret@example.org/simple", "at https://***@example.org/simple"),
        ("at https://token@example.org and http://a:b@c", "at https://***@example.org and http://***@c"),
        ("at https://example.org/a@b", "at https://example.org/a@b"),
    ],
)
def test_credentials_are_taken_out(text: str, expected: str) -> None:
    assert without_credentials(text) == expected


def test_an_index_is_not_shown_by_repr() -> None:
    assert "secret" not in repr(InstallerOptions(index_url="https://bob:secret@example.org"))


@pytest.mark.parametrize(
    ("conf", "variables"),
    [
        ("[global]\nindex-url = https://a/simple\n", {"UV_DEFAULT_INDEX": "https://a/simple"}),
        (
            "[global]\nindex_url = https://a/simple\nextra-index-url =\n  https://b/simple\n  https://c/simple\n",
            {
                "UV_DEFAULT_INDEX": "https://a/simple",
                "UV_INDEX": "https://b/simple https://c/simple",
                "UV_INDEX_STRATEGY": "unsafe-best-match",
            },
        ),
        (
            "[global]\nfind-links = /a /b\n[install]\ncert = /c.pem\n",
            {"UV_FIND_LINKS": "/a,/b", "SSL_CERT_FILE": "/c.pem"},
        ),
        ("[global]\ntimeout = 60\nprogress-bar = off\n[list]\nformat = columns\n", {}),
        ("[global]\npre = true\ntrusted-host = a b\n", {"UV_PRERELEASE": "allow", "UV_INSECURE_HOST": "a b"}),
        ("[global]\nclient-cert = /key.pem\n", None),
        ("[install]\nrequire-hashes = yes\n", None),
        ("not an ini file", {}),
    ],
)
def test_the_hosts_pip_configuration_is_passed_to_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conf: str, variables: dict[str, str] | None
) -> None:
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "none"))
    (tmp_path / "pip.conf").write_text("[global]\nproxy = http://proxy:3128\n")
    (tmp_path / "own.conf").write_text(conf)
    before = {name: value for name, value in read_pip_settings("/nowhere").items()}
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "own.conf"))
    settings = {
        name: value for name, value in read_pip_settings(str(tmp_path)).items() if before.get(name) != value
    }
    expected = None if variables is None else {"ALL_PROXY": "http://proxy:3128", **variables}
    assert uv_settings(settings) == expected


def test_variables_of_pip_win_over_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://file/simple\nno-index = false\n")
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    settings = read_pip_settings(str(tmp_path))
    assert settings["index-url"] == "https://variable/simple"
    assert without_index(settings)


@pytest.mark.usefixtures("no_pip_settings")
def test_settings_that_uv_has_no_words_for_are_left_to_pip(
    old: Path, tmp_path: Path, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "pip.conf"
    conf.write_text("[global]\nclient-cert = /key.pem\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(conf))
    expected = {"uv": "uv", "pip": "pip"}[tool]
    assert Installer(InstallerOptions(installer=tool), str(old)).name == expected
    assert Installer(InstallerOptions(), str(old)).name == "pip"


def test_facts_come_from_the_target_s_own_wheel(old: Path, wheels: Path, tool: str) -> None:
    found = facts(old, "3.0.0", installer=tool, wheels=str(wheels))
    assert found == {
        "version": "3.0.0",
        "requires_python": ">=3.98",
        "schema_head": "bbbb",
        "revisions": ["aaaa", "bbbb"],
        "options": {},
        "requires_dist": [],
    }


def test_facts_where_uv_may_keep_nothing(old: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_NO_CACHE", "1")
    assert facts(old, "3.0.0", installer="uv", wheels=str(wheels))["schema_head"] == "bbbb"


def test_facts_of_a_release_on_the_index(old: Path, tool: str) -> None:
    found = facts(old, "6.1.1", installer=tool)
    assert (found["version"], found["requires_python"]) == ("6.1.1", ">=3.10")
    assert found["schema_head"] == "f460b0348206"
    assert "0eee8c825d24" in found["revisions"]
    assert "bind_url" in found["options"]["JupyterHub"]
    assert "allow_all" in found["options"]["SharedPasswordAuthenticator"]
    assert "SQLAlchemy>=1.4.1" in found["requires_dist"]


def test_facts_leave_the_environment_as_it_was(old: Path, wheels: Path, tool: str) -> None:
    before = all_packages(old)
    facts(old, "3.0.0", installer=tool, wheels=str(wheels))
    assert all_packages(old) == before


def test_no_such_version_names_the_newest(old: Path, wheels: Path, tool: str) -> None:
    with pytest.raises(HubError) as refusal:
        facts(old, "99.9.9", installer=tool, wheels=str(wheels))
    assert str(refusal.value) == (
        f"JupyterHub 99.9.9 does not exist in {wheels}. Newest releases: 3.0.0, 2.0.0, 1.1.0. Name one of "
        "the releases, or a source that has the wanted one."
    )


def test_no_such_version_on_the_index(old: Path, tool: str) -> None:
    with pytest.raises(HubError) as refusal:
        facts(old, "99.9.9", installer=tool)
    start = "JupyterHub 99.9.9 does not exist on the index. Newest releases: "
    assert refusal.value.message.startswith(start)
    assert len(refusal.value.message[len(start) :].split(", ")) == 3


def test_a_malformed_version_is_refused(old: Path) -> None:
    with pytest.raises(HubError, match='^"6.1 --index-url=x" is not a version number'):
        facts(old, "6.1 --index-url=x")


def test_an_index_that_cannot_be_reached(old: Path, tool: str, closed_port: int) -> None:
    with pytest.raises(HubError) as refusal:
        facts(old, "6.1.1", installer=tool, index_url=f"http://bob:secret@127.0.0.1:{closed_port}/simple")
    assert str(refusal.value) == f"The package index could not be reached: Connection refused. {FIX_NETWORK}"


def test_a_folder_without_a_hub(old: Path, tool: str, tmp_path: Path) -> None:
    with pytest.raises(HubError) as refusal:
        facts(old, "6.1.1", installer=tool, wheels=str(tmp_path))
    assert str(refusal.value) == (
        f"There is no JupyterHub in {tmp_path}. Put its wheel there, or name an index that has it in "
        "jupyterhub_index_url."
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("wheels", "The folder of wheels /no/such does not exist on the host."),
        ("constraints", "The constraints file /no/such does not exist on the host."),
    ],
)
def test_missing_sources_are_named(old: Path, option: str, message: str) -> None:
    with pytest.raises(HubError) as refusal:
        Installer(InstallerOptions(**{option: "/no/such"}), str(old))
    assert refusal.value.message == message
    assert option in refusal.value.hint


@pytest.fixture
def copy(old: Path, tmp_path: Path) -> Path:
    """A copy of the old environment to install into."""
    return Path(shutil.copytree(old, tmp_path / "copy", symlinks=True))


def test_only_the_requested_packages_change(copy: Path, wheels: Path, tool: str) -> None:
    installer = Installer(InstallerOptions(installer=tool, wheels=str(wheels)), str(copy))
    before = all_packages(copy)
    planned = installer.planned(str(copy), ["jupyterhub==2.0.0"])
    assert planned == {"jupyterhub": "2.0.0"}
    assert all_packages(copy) == before
    installer.install(str(copy), ["jupyterhub==2.0.0"])
    assert all_packages(copy) == {**before, "jupyterhub": "2.0.0"}


def test_a_package_named_without_version_goes_along(copy: Path, wheels: Path, tool: str) -> None:
    installer = Installer(InstallerOptions(installer=tool, wheels=str(wheels)), str(copy))
    installer.install(str(copy), ["jupyterhub==2.0.0", "theauthenticator"])
    packages = all_packages(copy)
    assert (packages["jupyterhub"], packages["theauthenticator"]) == ("2.0.0", "2.0")


def test_packages_that_do_not_go_together_are_found(copy: Path, wheels: Path, tool: str) -> None:
    installer = Installer(InstallerOptions(installer=tool, wheels=str(wheels)), str(copy))
    assert installer.check(str(copy)) == []
    installer.install(str(copy), ["jupyterhub==2.0.0"])
    conflicts = installer.check(str(copy))
    assert len(conflicts) == 1
    assert "theauthenticator" in conflicts[0] and "jupyterhub<2" in conflicts[0] and "2.0.0" in conflicts[0]


def test_constraints_hold(copy: Path, wheels: Path, tool: str, tmp_path: Path) -> None:
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("theauthenticator<2\n")
    options = InstallerOptions(installer=tool, wheels=str(wheels), constraints=str(constraints))
    Installer(options, str(copy)).install(str(copy), ["theauthenticator"])
    assert all_packages(copy)["theauthenticator"] == "1.0"


def test_a_requirement_that_cannot_be_had(copy: Path, wheels: Path, tool: str) -> None:
    installer = Installer(InstallerOptions(installer=tool, wheels=str(wheels)), str(copy))
    with pytest.raises(HubError) as refusal:
        installer.install(str(copy), ["jupyterhub==2.0.0", "nowhere"])
    assert refusal.value.message.startswith(f"jupyterhub==2.0.0, nowhere cannot be installed into {copy}: ")
    assert refusal.value.message.count("nowhere") > 1
    assert refusal.value.hint == "Name compatible versions in jupyterhub_packages."
    assert all_packages(copy)["jupyterhub"] == "1.0.0"


@pytest.mark.parametrize("requirement", ["--index-url=http://elsewhere", "", "a\n--pre"])
def test_an_option_is_no_requirement(copy: Path, wheels: Path, tool: str, requirement: str) -> None:
    with pytest.raises(HubError) as refusal:
        Installer(InstallerOptions(installer=tool), str(copy)).install(str(copy), [requirement])
    assert str(refusal.value) == f'"{requirement}" is not a requirement. Write it like "oauthenticator>=17".'


class _PrivateIndex(http.server.SimpleHTTPRequestHandler):
    """A package index that requires user and password, and records the logins."""

    visitors: list[str] = []

    def do_GET(self) -> None:
        header = self.headers.get("Authorization", "")
        if not header.startswith("Basic "):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
            return
        self.visitors.append(base64.b64decode(header[len("Basic ") :]).decode())
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing on the test's terminal."""


@pytest.fixture
def private_index(tmp_path: Path) -> Iterator[int]:
    """The port of an index at /simple/ that has a jupyterhub 1.5.0 for who knows the password."""
    make_hub_wheel(tmp_path / "index" / "simple" / "jupyterhub", "1.5.0")
    _PrivateIndex.visitors.clear()
    handler = partial(_PrivateIndex, directory=str(tmp_path / "index"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("no_pip_settings")
def test_credentials_reach_the_index_and_no_argument(
    copy: Path, tool: str, private_index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spies, log = tmp_path / "spies", tmp_path / "arguments"
    spies.mkdir()
    for spy, real in ((spies / "uv", UV), (copy / "bin" / "python", (copy / "bin" / "python3").resolve())):
        # The real tool runs; its arguments are only written down.
        launch = f'exec "{real}" "$@"' if spy.name == "uv" else f'exec -a "{spy}" "{real}" "$@"'
        spy.unlink(missing_ok=True)
        spy.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" >> {log}\n{launch}\n')
        spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{spies}:{os.environ['PATH']}")
    url = f"http://bob:se%20cret@127.0.0.1:{private_index}/simple"
    lines: list[str] = []
    installer = Installer(InstallerOptions(installer=tool, index_url=url), str(copy))
    installer.install(str(copy), ["jupyterhub==1.5.0"], lines.append)
    assert all_packages(copy)["jupyterhub"] == "1.5.0"
    assert "bob:se cret" in _PrivateIndex.visitors
    assert "install" in log.read_text()
    assert "cret" not in log.read_text() + "".join(lines)


@pytest.mark.usefixtures("no_pip_settings")
def test_a_wrong_password_is_reported_without_it(copy: Path, tool: str, private_index: int) -> None:
    url = f"http://127.0.0.1:{private_index}/simple"
    with pytest.raises(HubError) as refusal:
        Installer(InstallerOptions(installer=tool, index_url=url), str(copy)).install(
            str(copy), ["jupyterhub==1.5.0"]
        )
    assert "jupyterhub==1.5.0" in str(refusal.value) or "could not be reached" in str(refusal.value)


def test_uv_is_fetched_where_the_host_has_none(
    old: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    builder = tmp_path / "state" / "builder"
    lines: list[str] = []
    options = InstallerOptions(builder_folder=str(builder))
    assert Installer(options, str(old), lines.append, may_build=False).name == "pip"
    assert not builder.exists()
    assert Installer(options, str(old), lines.append).name == "uv"
    assert Installer(options, str(old), lines.append).name == "uv"
    assert lines == [f"Fetching uv into {builder}"]
    assert subprocess.run([builder / "bin" / "uv", "--version"], capture_output=True).returncode == 0


def test_pip_takes_over_where_uv_cannot_be_had(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_RETRIES", "0")
    index, builder = f"http://127.0.0.1:{closed_port}/simple", str(tmp_path / "builder")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    assert Installer(InstallerOptions(index_url=index, builder_folder=builder), str(old)).name == "pip"
    with pytest.raises(HubError, match="^uv is not on the host and cannot be installed: "):
        Installer(InstallerOptions(installer="uv", index_url=index, builder_folder=builder), str(old))
    assert not Path(builder).exists()


def test_options_of_a_module(tmp_path: Path) -> None:
    params = {
        "deployment": {"name": "hub"},
        "state_folder": str(tmp_path),
        "installer": "pip",
        "index_url": "",
        "constraints": None,
        "wheels": "/wheels",
        "image": "hub:6.1.1",
    }
    assert installer_options(params) == InstallerOptions(
        installer="pip", wheels="/wheels", image="hub:6.1.1", builder_folder=f"{tmp_path}/hub/builder"
    )
