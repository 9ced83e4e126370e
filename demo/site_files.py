"""What an administrator would have written: config, supervisor's file, inventory; and the secrets in them."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from string import Template

from machine import FOLDER, SUPERVISOR_CONFIG, SUPERVISOR_SOCKET, free_ports

PROGRAM = "demo-hub"
TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True)
class Site:
    """Where everything of the demonstration hub is, and what opens its doors."""

    public_port: int
    hub_port: int
    proxy_port: int
    password: str
    service_token: str
    people: tuple[str, ...]

    controller = FOLDER / "controller"
    hub_environment = FOLDER / "hub"
    user_environment = FOLDER / "user"
    directory = FOLDER / "srv"
    homes = FOLDER / "homes"
    state = FOLDER / "state"
    inventory = FOLDER / "inventory.yml"
    report = FOLDER / "report.json"
    database = directory / "jupyterhub.sqlite"
    log = directory / "jupyterhub.log"

    @property
    def visitor(self) -> str:
        """Who the person in front of the demo is going to be: the administrator, with a running server."""
        return self.people[0]

    @property
    def colleague(self) -> str:
        """Whose server the upgrade tries on the new hub."""
        return self.people[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.public_port}"


def new_site(people: tuple[str, ...]) -> Site:
    public_port, hub_port, proxy_port = free_ports(3)
    return Site(public_port, hub_port, proxy_port, secrets.token_urlsafe(9), secrets.token_hex(32), people)


def write_files(site: Site, to_version: str) -> None:
    """Writes configuration and inventory, and a home with a notebook for everybody."""
    values = {
        "folder": FOLDER,
        "socket": SUPERVISOR_SOCKET,
        "program": PROGRAM,
        "report": site.report,
        "directory": site.directory,
        "homes": site.homes,
        "hub_environment": site.hub_environment,
        "user_environment": site.user_environment,
        "public_port": site.public_port,
        "hub_port": site.hub_port,
        "proxy_port": site.proxy_port,
        "password": site.password,
        "service_token": site.service_token,
        "users": set(site.people),
        "visitor": site.visitor,
        "colleague": site.colleague,
        "server_arguments": ["--allow-root"] if os.geteuid() == 0 else [],
        "to_version": to_version,
    }
    site.directory.mkdir()
    _fill("jupyterhub_config.py.in", site.directory / "jupyterhub_config.py", values)
    _fill("supervisord.conf.in", SUPERVISOR_CONFIG, values)
    _fill("inventory.yml.in", site.inventory, values)
    for person in site.people:
        home = site.homes / person
        home.mkdir(parents=True)
        (home / "welcome.ipynb").write_text(json.dumps(_notebook(person), indent=1), encoding="utf-8")


def _fill(template: str, path: Path, values: dict[str, object]) -> None:
    text = Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(values)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _notebook(person: str) -> dict[str, object]:
    title = f"# {person}'s notebook, from before"
    cells = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": title},
        {
            "cell_type": "code",
            "id": "answer",
            "metadata": {},
            "source": "6 * 7",
            "execution_count": None,
            "outputs": [],
        },
    ]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
