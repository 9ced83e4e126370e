"""New environments are made beside the old ones, which are only read."""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import staging
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    Installer,
    InstallerOptions,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.packages import all_packages
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import PlannedEnvironment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import (
    MARKER,
    Staged,
    stage,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress

from tests.hubs.small_wheels import UV, fingerprint, install, make_hub_wheel, make_venv, make_wheel
from tests.plans import planned_environment

UNCHANGED = "The environment in use is unchanged. Name compatible packages in jupyterhub_packages."
GO_TOGETHER = "Name versions of them that do in jupyterhub_packages (or jupyterhub_user_packages)."
#: As root, an account that does not exist; any other user can only keep their own files.
OWNER = 12345 if os.geteuid() == 0 else os.geteuid()


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    make_hub_wheel(folder, "1.0.0")
    make_hub_wheel(folder, "2.0.0", requires=["newcomer"])
    make_hub_wheel(folder, "3.0.0", app="raise RuntimeError('no proxy')\n")
    make_hub_wheel(folder, "4.0.0", app="def main(): pass\n")
    make_wheel(folder, "newcomer", "1.0", {"newcomer.py": "def f():\n    return 1\n"})
    make_wheel(folder, "theauthenticator", "1.0", requires=["jupyterhub<2"])
    make_wheel(folder, "theauthenticator", "2.0", requires=["jupyterhub>=2"])
    make_wheel(folder, "bystander", "1.0")
    make_wheel(folder, "bystander", "2.0")
    return folder


@pytest.fixture
def old(tmp_path: Path, wheels: Path) -> Path:
    return make_venv(tmp_path / "hub env", wheels, "jupyterhub==1.0.0", "bystander==1.0")


def run(
    entry: PlannedEnvironment, wheels: Path | None, tool: str = "uv", lines: Path | None = None
) -> Staged:
    os.environ["PATH"] = f"{Path(UV).parent}:{os.environ['PATH']}"
    options = InstallerOptions(installer=tool, wheels=str(wheels or ""))
    return stage(entry, Installer(options, entry.path), Progress(str(lines) if lines else None))


def mentions(folder: Path, text: Path) -> list[str]:
    """Files below ``folder``, the marker excepted, with ``text`` in their content or their target."""
    found = []
    for path in folder.rglob("*"):
        if path.is_symlink():
            content = os.fsencode(path.readlink())
        elif path.is_file() and path.name != MARKER:
            content = path.read_bytes()
        else:
            continue
        if os.fsencode(text) in content:
            found.append(str(path))
    return found


def test_a_copy_has_the_target_and_everything_else_as_it_was(old: Path, wheels: Path) -> None:
    staged = run(planned_environment(old, "2.0.0"), wheels)
    assert staged.changed
    assert staged.packages_before == {"bystander": "1.0", "jupyterhub": "1.0.0"}
    assert staged.packages_after == {"bystander": "1.0", "jupyterhub": "2.0.0", "newcomer": "1.0"}
    assert staged.packages_after == all_packages(staged.staged_path)
    assert staged.result()["changes"] == [
        {"name": "jupyterhub", "from": "1.0.0", "to": "2.0.0"},
        {"name": "newcomer", "from": None, "to": "1.0"},
    ]


@pytest.mark.parametrize("strategy", ["copy", "rebuild"])
def test_the_old_environment_is_only_read(old: Path, wheels: Path, strategy: str) -> None:
    before = fingerprint(old)
    run(planned_environment(old, "2.0.0", strategy=strategy), wheels)
    assert fingerprint(old) == before


@pytest.mark.parametrize("strategy", ["copy", "rebuild"])
def test_the_new_environment_speaks_of_its_final_place_only(old: Path, wheels: Path, strategy: str) -> None:
    staged = Path(run(planned_environment(old, "2.0.0", strategy=strategy), wheels).staged_path)
    assert mentions(staged, staged) == []
    assert f"{old}/bin/python" in (staged / "bin" / "jupyterhub").read_text()
    assert os.access(staged / "bin" / "jupyterhub", os.X_OK)
    old.rename(old.with_name("gone"))
    staged.rename(old)
    assert subprocess.run([old / "bin" / "jupyterhub"]).returncode == 0


def test_what_is_new_has_bytecode_that_names_the_final_place(old: Path, wheels: Path) -> None:
    staged = Path(run(planned_environment(old, "2.0.0"), wheels).staged_path)
    for module in ("newcomer.py", "jupyterhub/app.py"):
        (source,) = staged.glob(f"lib/python*/site-packages/{module}")
        compiled = Path(importlib.util.cache_from_source(str(source)))
        code = marshal.loads(compiled.read_bytes()[16:])
        assert code.co_filename == f"{old}/{source.relative_to(staged)}"


@pytest.mark.parametrize("strategy", ["copy", "rebuild"])
def test_new_files_belong_to_the_owner_of_the_environment(old: Path, wheels: Path, strategy: str) -> None:
    for path in [old, *old.rglob("*")]:
        os.chown(path, OWNER, OWNER if os.geteuid() == 0 else -1, follow_symlinks=False)
    staged = Path(run(planned_environment(old, "2.0.0", strategy=strategy), wheels).staged_path)
    assert {path.lstat().st_uid for path in [staged, *staged.rglob("*")]} == {OWNER}


def test_staged_once_is_staged(old: Path, wheels: Path) -> None:
    entry = planned_environment(old, "2.0.0")
    first = run(entry, wheels)
    before = fingerprint(Path(first.staged_path))
    second = run(entry, wheels)
    assert not second.changed
    assert (first.replaced, second.replaced) == ("", "")
    assert second.packages_after == first.packages_after
    assert fingerprint(Path(first.staged_path)) == before


def test_another_request_is_staged_again(old: Path, wheels: Path) -> None:
    run(planned_environment(old, "2.0.0"), wheels)
    requirements = ["jupyterhub==2.0.0", "bystander"]
    staged = run(planned_environment(old, "2.0.0", requirements=requirements), wheels)
    assert staged.changed
    assert staged.packages_after["bystander"] == "2.0"
    assert staged.replaced == "this has changed since: the requirements"


def test_other_wheels_are_staged_again(old: Path, wheels: Path) -> None:
    run(planned_environment(old, "2.0.0"), wheels)
    make_wheel(wheels, "newcomer", "1.1")
    staged = run(planned_environment(old, "2.0.0"), wheels)
    assert staged.packages_after["newcomer"] == "1.1"
    assert staged.replaced == "this has changed since: the wheels"


def test_a_change_of_the_old_environment_is_staged_again(old: Path, wheels: Path) -> None:
    run(planned_environment(old, "2.0.0"), wheels)
    install(old, wheels, "bystander==2.0")
    staged = run(planned_environment(old, "2.0.0"), wheels)
    assert staged.changed
    assert staged.packages_after["bystander"] == "2.0"
    assert staged.replaced == f"{old} has changed since"


def test_what_is_half_made_is_made_again(old: Path, wheels: Path) -> None:
    entry = planned_environment(old, "2.0.0")
    staged = Path(run(entry, wheels).staged_path)
    (staged / MARKER).unlink()
    (staged / "leftover").touch()
    again = run(entry, wheels)
    assert again.changed and again.replaced == "it was not complete"
    assert not (staged / "leftover").exists()


def test_a_marker_of_an_earlier_upgrade_is_not_copied(old: Path, wheels: Path) -> None:
    first = run(planned_environment(old, "2.0.0"), wheels)
    shutil.rmtree(old)
    Path(first.staged_path).rename(old)
    identity = staging.environment_id(old)
    second = run(planned_environment(old, "4.0.0", jupyterhub="2.0.0"), wheels)
    marker = staging.read_marker(second.staged_path)
    assert marker["replaces"] == identity != marker["id"]


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_packages_that_would_not_go_together(tmp_path: Path, wheels: Path, tool: str) -> None:
    old = make_venv(tmp_path / "env", wheels, "jupyterhub==1.0.0", "theauthenticator==1.0", pip=True)
    entry = planned_environment(old, "2.0.0")
    with pytest.raises(HubError) as refusal:
        run(entry, wheels, tool)
    assert refusal.value.message.startswith(f"Packages of {old} would be incompatible: ")
    assert "theauthenticator" in refusal.value.message and "jupyterhub<2" in refusal.value.message
    assert refusal.value.hint == GO_TOGETHER
    assert not Path(entry.staged_path).exists()
    named = planned_environment(old, "2.0.0", requirements=("jupyterhub==2.0.0", "theauthenticator"))
    assert run(named, wheels, tool).packages_after["theauthenticator"] == "2.0"


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_a_conflict_that_was_there_before_stays_one(tmp_path: Path, wheels: Path, tool: str) -> None:
    make_wheel(wheels, "grumbler", "1.0", requires=["jupyterhub<1"])
    old = make_venv(tmp_path / "env", wheels, "jupyterhub==1.0.0", pip=True)
    install(old, wheels, "--no-deps", "grumbler")
    assert run(planned_environment(old, "2.0.0"), wheels, tool).packages_after["jupyterhub"] == "2.0.0"


def test_an_environment_that_does_not_import_the_hub_is_removed(old: Path, wheels: Path) -> None:
    entry = planned_environment(old, "3.0.0")
    with pytest.raises(HubError) as refusal:
        run(entry, wheels)
    assert str(refusal.value) == (
        f"The new environment for {old} does not work: "
        "jupyterhub.app cannot be imported: RuntimeError: no proxy " + UNCHANGED
    )
    assert not Path(entry.staged_path).exists()


def test_a_user_s_environment_need_not_import_the_hub(old: Path, wheels: Path) -> None:
    assert run(planned_environment(old, "3.0.0", role="user"), wheels).packages_after["jupyterhub"] == "3.0.0"


def test_a_hub_whose_servers_start_elsewhere_need_not_import_one(old: Path, wheels: Path) -> None:
    """As JupyterHub says it where neither jupyter-server nor notebook is installed."""
    fault = "raise ImportError('no server, e.g.\\n    pip install jupyterlab')\n"
    make_hub_wheel(wheels, "4.1.0", files={"jupyterhub/singleuser.py": fault})
    make_wheel(wheels, "jupyter-server", "2.0")
    entry = planned_environment(old, "4.1.0", role="both")
    assert run(entry, wheels).packages_after["jupyterhub"] == "4.1.0"
    install(old, wheels, "jupyter-server")
    with pytest.raises(
        HubError, match="singleuser cannot be imported: .* no server, e.g. pip install jupyter"
    ):
        run(entry, wheels)


def test_named_modules_are_imported_too(old: Path, wheels: Path) -> None:
    make_wheel(wheels, "spawning", "1.0", {"spawning.py": "import nothing_like_it\n"})
    entry = planned_environment(
        old, "2.0.0", requirements=("jupyterhub==2.0.0", "spawning"), imports=["spawning", "absent"]
    )
    with pytest.raises(HubError, match="spawning cannot be imported: ModuleNotFoundError: .*nothing_like_it"):
        run(entry, wheels)


def test_a_hub_that_calls_itself_otherwise_is_refused(old: Path, wheels: Path) -> None:
    make_wheel(
        wheels,
        "jupyterhub",
        "5.0.0",
        {"jupyterhub/__init__.py": "__version__ = '4.9'\n", "jupyterhub/app.py": ""},
    )
    with pytest.raises(HubError) as refusal:
        run(planned_environment(old, "5.0.0"), wheels)
    assert str(refusal.value) == (
        f"The new environment for {old} has JupyterHub 4.9 instead of jupyterhub==5.0.0. {UNCHANGED}"
    )


def test_too_little_disk_space(old: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "RESERVE_BYTES", 1 << 60)
    with pytest.raises(HubError) as refusal:
        run(planned_environment(old, "2.0.0"), wheels)
    assert refusal.value.message.startswith(f"{old.parent} has ")
    assert f"staging needs {1 << 40}" in refusal.value.message
    assert refusal.value.hint == "Make space there, or upgrade in place."


def test_a_linked_environment_becomes_a_real_one(old: Path, wheels: Path) -> None:
    real = old.rename(old.with_name("hub-1.0.0"))
    old.symlink_to(real)
    for script in (real / "bin").glob("jupyterhub*"):
        script.write_text(script.read_text().replace(str(old), str(real)))
    (real / "bin" / "site-tool").write_text(f"#!{real}/bin/python\n")
    staged = Path(run(planned_environment(old, "2.0.0"), wheels).staged_path)
    assert not staged.is_symlink()
    assert mentions(staged / "bin", real) == mentions(staged, staged) == []
    assert (staged / "bin" / "site-tool").read_text() == f"#!{old}/bin/python\n"


def test_a_rebuild_keeps_versions_and_reports_which_it_could_not(old: Path, wheels: Path) -> None:
    make_wheel(wheels, "stubborn", "1.0", requires=["bystander"])
    install(old, wheels, "stubborn")
    (wheels / "stubborn-1.0-py3-none-any.whl").unlink()
    make_wheel(wheels, "stubborn", "1.5")
    staged = run(planned_environment(old, "2.0.0", strategy="rebuild"), wheels)
    assert staged.packages_after == {
        "bystander": "1.0",
        "jupyterhub": "2.0.0",
        "newcomer": "1.0",
        "stubborn": "1.5",
    }
    assert staged.warnings == ["stubborn 1.0 became 1.5 for the new Python."]


def test_a_rebuild_by_pip_keeps_versions_too(tmp_path: Path, wheels: Path) -> None:
    old = make_venv(tmp_path / "env", wheels, "jupyterhub==1.0.0", "bystander==1.0", pip=True)
    make_wheel(wheels, "stubborn", "1.0")
    install(old, wheels, "stubborn")
    (wheels / "stubborn-1.0-py3-none-any.whl").unlink()
    make_wheel(wheels, "stubborn", "1.5")
    staged = run(planned_environment(old, "2.0.0", strategy="rebuild"), wheels, "pip")
    assert staged.packages_after["bystander"] == "1.0"
    assert staged.packages_after["stubborn"] == "1.5"
    assert "stubborn 1.0 became 1.5 for the new Python." in staged.warnings


def test_an_interpreter_that_does_not_exist(old: Path, wheels: Path) -> None:
    entry = planned_environment(old, "2.0.0", strategy="rebuild", python="/no/such/python")
    with pytest.raises(HubError) as refusal:
        run(entry, wheels)
    assert refusal.value.message.startswith("/no/such/python cannot make a venv: ")
    assert not Path(entry.staged_path).exists()


def test_in_place_finds_before_the_outage_what_cannot_be_installed(old: Path, wheels: Path) -> None:
    before = fingerprint(old)
    staged = run(planned_environment(old, "2.0.0", strategy="in_place"), wheels)
    assert not staged.changed and not Path(staged.staged_path).exists()
    assert staged.packages_after == {"bystander": "1.0", "jupyterhub": "2.0.0", "newcomer": "1.0"}
    with pytest.raises(HubError, match="^jupyterhub==9.9.9 cannot be installed into "):
        run(planned_environment(old, "9.9.9", strategy="in_place"), wheels)
    assert fingerprint(old) == before


def test_progress_is_reported(old: Path, wheels: Path, tmp_path: Path) -> None:
    lines = tmp_path / "deep" / "progress"
    staged = run(planned_environment(old, "2.0.0"), wheels, lines=lines)
    printed = lines.read_text().splitlines()
    assert printed[0] == f"Staging jupyterhub==2.0.0 for {old}"
    assert any(line.startswith(f"Copying {old}, files: ") for line in printed)
    assert printed[-1].startswith(f"{staged.staged_path} is ready after ")


def test_real_releases(tmp_path: Path) -> None:
    """JupyterHub 4.1.6 with the usual packages becomes 6.1.1, copied and rebuilt."""
    old = tmp_path / "jupyterhub"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, old], check=True)
    packages = [
        "jupyterhub==4.1.6",
        "oauthenticator==16.3.1",
        "jupyterhub-idle-culler==1.4.0",
        "sqlalchemy<2",
    ]
    subprocess.run([UV, "pip", "install", "--quiet", "--python", old / "bin/python", *packages], check=True)
    before = fingerprint(old)
    kept = {
        name: version
        for name, version in all_packages(old).items()
        if name in ("sqlalchemy", "oauthenticator")
    }
    for strategy in ("copy", "rebuild"):
        imports = ("oauthenticator.generic", "jupyterhub.spawner")
        entry = planned_environment(old, "6.1.1", strategy=strategy, jupyterhub="4.1.6", imports=imports)
        staged = run(entry, None)
        assert staged.packages_after["jupyterhub"] == "6.1.1"
        assert {name: staged.packages_after[name] for name in kept} == kept
        path = Path(staged.staged_path)
        assert mentions(path, path) == []
        probe = "import json, sys, jupyterhub.app; print(json.dumps([jupyterhub.__version__, sys.prefix]))"
        answer = subprocess.run([path / "bin/python", "-B", "-c", probe], capture_output=True, check=True)
        assert json.loads(answer.stdout) == ["6.1.1", str(path)]
        staging.remove_staged(path)
    assert fingerprint(old) == before
