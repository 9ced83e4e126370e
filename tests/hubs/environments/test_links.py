"""Links that lead out of an environment: an installer that followed one would change the hub that serves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import links
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    Installer,
    InstallerOptions,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import stage
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.transitions import (
    switch,
    switch_back,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import host
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.making import make_plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.upgrade import Policy, Target
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.trees import tree_sha256

from tests.hubs.real_hub import build, running_hub
from tests.hubs.small_wheels import UV, make_hub_wheel, make_venv, make_wheel
from tests.plans import planned_environment

#: Parts of an environment that may be elsewhere, with a link in their place; ``*`` is the version of Python.
LED_OUT = {
    "site-packages": "lib/python*/site-packages",
    "the folder of Python's version": "lib/python*",
    "lib": "lib",
    "bin": "bin",
    "share": "share",
    "the package itself": "lib/python*/site-packages/jupyterhub",
    "a folder of the package": "lib/python*/site-packages/jupyterhub/alembic",
    "what is known of the package": "lib/python*/site-packages/jupyterhub-1.0.0.dist-info",
}


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    for version in ("1.0.0", "2.0.0"):
        data = {f"jupyterhub-{version}.data/data/share/jupyterhub/page.html": version}
        make_hub_wheel(folder, version, files=data)
    newcomer = {"newcomer/__init__.py": "", "newcomer-1.0.data/data/share/kernels/theirs/kernel.json": "{}"}
    make_wheel(folder, "newcomer", "1.0", newcomer)
    return folder


@pytest.fixture
def venv(tmp_path: Path, wheels: Path) -> Path:
    return make_venv(tmp_path / "hub", wheels, "jupyterhub==1.0.0")


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(UV).parent}:{os.environ['PATH']}")


def installer(venv: Path, wheels: Path) -> Installer:
    return Installer(InstallerOptions(installer="uv", wheels=str(wheels)), str(venv))


def one(venv: Path, pattern: str) -> Path:
    [found] = venv.glob(pattern)
    return found


def lead_out(venv: Path, pattern: str) -> Path:
    """Move a part of an environment elsewhere, leave a link in its place; return that."""
    link = one(venv, pattern)
    elsewhere = venv.with_name("elsewhere")
    elsewhere.mkdir(exist_ok=True)
    link.rename(elsewhere / link.name)
    link.symlink_to(elsewhere / link.name)
    return link


def works(venv: Path) -> bool:
    return subprocess.run([venv / "bin/jupyterhub"], check=False).returncode == 0


def state(venv: Path) -> tuple[str, ...]:
    """The environment and the files beside it, byte for byte."""
    return tuple(tree_sha256(path) for path in (venv, venv.with_name("elsewhere")) if path.is_dir())


@pytest.mark.parametrize("strategy", ["copy", "in_place"])
@pytest.mark.parametrize("pattern", LED_OUT.values(), ids=LED_OUT.keys())
def test_nothing_is_installed_through_a_link(venv: Path, wheels: Path, pattern: str, strategy: str) -> None:
    link = lead_out(venv, pattern)
    before = state(venv)
    assert works(venv)
    assert [each.path for each in links.in_the_way(venv)] == [str(link)]
    entry = planned_environment(venv, "2.0.0", strategy=strategy)
    with pytest.raises(HubError) as refused:
        stage(entry, installer(venv, wheels), Progress())
    assert f"{link.relative_to(venv)} leads out of the environment, to " in refused.value.message
    assert "Replace the link" in refused.value.hint
    assert state(venv) == before
    assert works(venv)
    assert not Path(entry.staged_path).exists()


def healthy_links(venv: Path) -> dict[Path, str]:
    """Give a healthy environment the links that many have; the links and their targets."""
    elsewhere = venv.with_name("elsewhere")
    for name in ("ours", "kernel", "tool", "app.py", "pip.conf"):
        (elsewhere / name).mkdir(parents=True) if "." not in name else (elsewhere / name).touch()
    (elsewhere / "ours/__init__.py").write_text("ORIGIN = 'elsewhere'\n")
    site = one(venv, "lib/python*/site-packages")
    (site / "developed.pth").write_text(f"{elsewhere}\n")
    (site / "jupyterhub/app.py").rename(elsewhere / "app.py")
    (venv / "share/kernels").mkdir()
    (venv / "share").rename(venv / "data")
    lib64 = venv / "lib64"
    lib64.unlink(missing_ok=True)
    targets = {
        lib64: str(venv / "lib"),
        venv / "share": str(venv / "data"),
        site / "ours": str(elsewhere / "ours"),
        venv / "data/kernels/ours": "../../../elsewhere/kernel",
        venv / "bin/tool": str(elsewhere / "tool"),
        venv / "pip.conf": str(elsewhere / "pip.conf"),
        site / "jupyterhub/app.py": str(elsewhere / "app.py"),
    }
    for link, target in targets.items():
        link.symlink_to(target)
    return targets


def test_links_of_healthy_environments_are_no_harm_and_stay(venv: Path, wheels: Path) -> None:
    targets = healthy_links(venv)
    before = state(venv)
    assert works(venv)
    assert links.in_the_way(venv) == []
    staged = Path(stage(planned_environment(venv, "2.0.0"), installer(venv, wheels), Progress()).staged_path)
    assert state(venv) == before, "staging has written through a link"
    [app] = [link for link in targets if link.name == "app.py"]
    assert not (staged / app.relative_to(venv)).is_symlink(), "a file of the package is the new one"
    for link in targets.keys() - {app}:
        assert os.readlink(staged / link.relative_to(venv)) == targets[link]


def test_what_the_installation_brings_for_the_place_of_a_link(venv: Path, wheels: Path) -> None:
    healthy_links(venv)
    (venv / "data/kernels/theirs").symlink_to(venv.with_name("elsewhere") / "kernel")
    before = state(venv)
    assert links.in_the_way(venv) == []
    entry = planned_environment(venv, "2.0.0", requirements=["jupyterhub==2.0.0", "newcomer"])
    with pytest.raises(HubError, match="theirs leads out of .*, and the installation has something for its"):
        stage(entry, installer(venv, wheels), Progress())
    assert state(venv) == before
    assert not Path(entry.staged_path).exists()


def test_links_of_an_environment_that_is_upgraded_in_place_stay(venv: Path, wheels: Path) -> None:
    targets = healthy_links(venv)
    before = state(venv)
    entry = planned_environment(venv, "2.0.0", strategy="in_place")
    switch([entry], "1", lambda _path: installer(venv, wheels), Progress())
    kept = {link: os.readlink(link) for link in targets if link.is_symlink()}
    assert kept == {link: target for link, target in targets.items() if link.name != "app.py"}
    switch_back([entry], "1")
    assert state(venv) == before


@pytest.mark.parametrize("remedy", ["a copy", "built from its list of packages"])
def test_the_remedies_help(venv: Path, wheels: Path, remedy: str) -> None:
    link = lead_out(venv, LED_OUT["site-packages"])
    strategy = "rebuild"
    if remedy == "a copy":
        strategy, target = "copy", link.resolve()
        link.unlink()
        subprocess.run(["cp", "-a", target, link], check=True)
    before = state(venv)
    staged = stage(planned_environment(venv, "2.0.0", strategy=strategy), installer(venv, wheels), Progress())
    assert staged.packages_after["jupyterhub"] == "2.0.0"
    assert state(venv) == before


def test_a_hub_with_its_packages_elsewhere_is_refused_and_can_start_again(tmp_path: Path) -> None:
    place = tmp_path / "hub"
    build(place, "4.1.6")
    link = lead_out(place, LED_OUT["site-packages"])
    with running_hub("4.1.6", tmp_path, place=place) as deployment:
        before = state(place)
        seen = host.look(deployment, str(tmp_path / "state"), "")
        plan = make_plan(deployment, Target("6.1.1", ">=3.10"), seen, Policy())
        [blocker] = plan.blockers
        assert blocker.id == "link-leads-out"
        assert blocker.found == f"{link} leads out of the environment, to {os.readlink(link)}."
        [entry] = plan.environments
        with pytest.raises(HubError, match="Nothing was installed"):
            stage(entry, Installer(InstallerOptions(), str(place)), Progress())
        assert state(place) == before
        service = service_of(deployment.service)
        service.stop(30)
        service.start()
        mark = service.log_mark()
        lifecycle.wait_for_version(service, deployment.config.hub_api_url, "4.1.6", 60, mark)
