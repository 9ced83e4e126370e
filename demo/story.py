"""The story that the demo tells: a hub as found in the wild, one command, and the same hub upgraded."""

from __future__ import annotations

import sys
from pathlib import Path

import environments
import snapshot
from hub import Browser, Hub, Refused
from machine import (
    CHECKOUT,
    FOLDER,
    SUPERVISOR_CONFIG,
    Unsuitable,
    check_machine,
    clean_environment,
    remove_demo,
)
from people import PEOPLE, bring_people_in
from screen import Screen, StepFailed
from site_files import Site, new_site, write_files

FROM_VERSION = "4.1.6"
TO_VERSION = "6.1.1"


def tell() -> int:
    """Returns the exit status."""
    try:
        check_machine()
    except Unsuitable as reason:
        print(f"make demo cannot run here:\n{reason}", file=sys.stderr)
        return 2
    screen = Screen(FOLDER / "logs", _environment())
    try:
        _tell(screen)
    except StepFailed as failure:
        return _give_up(screen, str(failure), failure.log)
    except (OSError, Refused) as failure:  # TimeoutError among them
        return _give_up(screen, str(failure), Site.log)
    except KeyboardInterrupt:
        return _give_up(screen, "interrupted", None)
    return 0


def _tell(screen: Screen) -> None:
    screen.say(f"A JupyterHub {FROM_VERSION} is built under {_short(FOLDER)} and upgraded to {TO_VERSION}.\n")
    _start_afresh(screen)
    site = new_site(PEOPLE)
    _build(screen, site)
    hub, own, browser = _open_the_hub(screen, site)

    before = snapshot.take(hub, own, browser, site.visitor, site.database)
    screen.say(f"\nThe hub serves at {site.url}:\n")
    screen.table(["", "now"], list(before.items()))
    screen.say("\nFrom here on it is what you would do with your own hub:\n")
    _upgrade(screen, site)

    with screen.step(f"Start {site.visitor}'s server, if the upgrade has stopped it"):
        hub.start_server(site.visitor)
    after = snapshot.take(hub, own, browser, site.visitor, site.database)
    screen.say("\nThe same hub, before and after:\n")
    screen.table(["", "before", "after"], [[row, before[row], after[row]] for row in before])
    _say_where_to_look(screen, site)


def _start_afresh(screen: Screen) -> None:
    if FOLDER.exists():
        print("An earlier demo is still here; it is removed first.")
        remove_demo()
    FOLDER.mkdir(parents=True)
    FOLDER.chmod(0o700)  # its files hold passwords and tokens
    screen.logs.mkdir()


def _build(screen: Screen, site: Site) -> None:
    with screen.step("Install ansible-core, uv and supervisor") as step:
        environments.build_controller(step, site.controller)
    with screen.step(f"Install JupyterHub {FROM_VERSION} for the hub") as step:
        environments.build(step, site.controller, site.hub_environment, environments.HUB, FROM_VERSION)
    with screen.step(f"Install JupyterHub {FROM_VERSION} and JupyterLab for servers") as step:
        environments.build(step, site.controller, site.user_environment, environments.SERVERS, FROM_VERSION)
    write_files(site, TO_VERSION)


def _open_the_hub(screen: Screen, site: Site) -> tuple[Hub, Hub, Browser]:
    """Starts it and lets people in; returns the demo's access, the visitor's token and their cookie."""
    hub = Hub(site.url, site.service_token)
    with screen.step("Start the hub under supervisord") as step:
        step.run([site.controller / "bin" / "supervisord", "-c", SUPERVISOR_CONFIG], FOLDER)
        hub.wait_until_it_answers()
    with screen.step(f"Bring {len(PEOPLE)} users, their groups and tokens in"):
        tokens = bring_people_in(hub)
        browser = Browser(site.url)
        browser.log_in(site.visitor, site.password)
    with screen.step(f"Start {site.visitor}'s server"):
        hub.start_server(site.visitor)
    return hub, Hub(site.url, tokens[site.visitor]), browser


def _upgrade(screen: Screen, site: Site) -> None:
    playbook = site.controller / "bin" / "ansible-playbook"
    command: list[str | Path] = [playbook, "playbooks/upgrade.yml", "-i", _short(site.inventory)]
    with screen.stage("ansible-playbook " + " ".join(map(str, command[1:]))) as step:
        step.show(command, CHECKOUT)


def _say_where_to_look(screen: Screen, site: Site) -> None:
    screen.say(f"""
    Log in   {site.url}
    user     {site.visitor}
    password {site.password}

    report   {_short(site.report.with_suffix(".html"))}
    hub log  {_short(site.log)}
    logs     {_short(screen.logs)}

It took {screen.seconds():.0f} s. The hub runs until you say: make demo-clean""")


def _give_up(screen: Screen, reason: str, log: Path | None) -> int:
    print(f"\nThe demo failed: {reason}.", file=sys.stderr)
    if log and log.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
        print(f"The last lines of {_short(log)}:\n", *lines, "", sep="\n    ", file=sys.stderr)
    print(f"All logs are in {_short(screen.logs)}. What runs was left for a look.", file=sys.stderr)
    print("make demo-clean stops and removes everything.", file=sys.stderr)
    return 1


def _environment() -> dict[str, str]:
    """For every command: the controller's tools come first, and Ansible's files stay in the folder."""
    environment = clean_environment()
    path = f"{FOLDER / 'controller' / 'bin'}:{environment.get('PATH', '/usr/bin:/bin')}"
    colour = {"ANSIBLE_FORCE_COLOR": "1"} if sys.stdout.isatty() else {}
    return environment | {"PATH": path, "ANSIBLE_HOME": str(FOLDER / "ansible")} | colour


def _short(path: Path) -> Path:
    return path.relative_to(CHECKOUT)
