"""The people on a real hub are told: by mail those whose server runs, by webhooks, by the site's tasks."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import users_servers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api, lab_notifications
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub.running_servers import RunningServer

from tests.hubs.playbook import run_playbook
from tests.hubs.real_hub import environment, free_ports, running_hub

VERSION = "6.1.1"
TASKS = """
- name: Tell the site's own
  ansible.builtin.copy:
    dest: "{{ site_file }}"
    content: "{{ {'text': hub_notify_text, 'people': hub_notify_people} | to_json }}"
    mode: "0600"
"""
#: The server of one user has no extension that takes notifications.
WITHOUT = """
def without_extension(spawner):
    if spawner.user.name == "user2":
        extensions = {"jupyterlab_notifications_extension": False}
        spawner.args = [*spawner.args, f"--ServerApp.jpserver_extensions={extensions}"]

c.Spawner.pre_spawn_hook = without_extension
"""
TEXT = "JupyterHub is going to be upgraded to 6.1.2: Saturday, 22:00 & later. Please save your work."


@contextmanager
def webhook() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """The address of a service that takes what is posted, and what it has taken."""
    taken: list[tuple[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """A test's output is no log."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()


class Mailbox:
    """What a mail server has taken."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.taken.append(envelope)
        return "250 OK"


def test_everybody_is_told_also_when_one_webhook_is_gone(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(TASKS)
    place = environment(VERSION, "jupyter-server", "ipykernel", "jupyterlab-notifications-extension")
    config = WITHOUT + (
        f"c.Spawner.args = {['--allow-root'] if os.geteuid() == 0 else []}\n"
        f"c.SimpleLocalProcessSpawner.home_dir_template = '{tmp_path}/home-{{username}}'\n"
    )
    mailbox, (port, dead) = Mailbox(), free_ports(2)
    mail = Controller(mailbox, hostname="127.0.0.1", port=port)
    mail.start()
    with running_hub(VERSION, tmp_path, config=config, place=place) as deployment, webhook() as (url, posted):
        with users_servers.attending(deployment, None) as hub:
            servers = [RunningServer(user, "", f"/user/{user}/") for user in ("user1", "user2")]
            assert hub.start(servers, 60) == []
        variables = {
            "jupyterhub_service": deployment.name,
            "jupyterhub_version": "6.1.2",
            "jupyterhub_notify_at": "Saturday, 22:00 & later",
            "jupyterhub_notify_jupyterlab": True,
            "jupyterhub_notify_webhooks": [
                {"url": f"http://127.0.0.1:{dead}/secret", "format": "slack"},
                {"url": f"{url}/slack"},
                {"url": f"{url}/json", "format": "json"},
            ],
            "jupyterhub_notify_mail": {
                "address": "{username}@example.org",
                "sender": "hub@example.org",
                "host": "127.0.0.1",
                "port": port,
            },
            "jupyterhub_notify_tasks": str(tmp_path / "site.yml"),
            "site_file": str(tmp_path / "told.json"),
        }
        tried = run_playbook("notify.yml", tmp_path, variables, "--check")
        assert tried.returncode == 0, tried.stdout
        assert (posted, mailbox.taken, (tmp_path / "told.json").exists()) == ([], [], False)
        done = run_playbook("notify.yml", tmp_path, variables, "-v")
        server = f"{deployment.config.public_url}user/user1/"
        with users_servers.attending(deployment, None, scopes=users_servers.ACCESS) as hub:
            [notification] = api.read(f"{server}{lab_notifications.EXTENSION}/notifications", hub.token)[
                "notifications"
            ]
    mail.stop()
    assert (notification["message"], notification["autoClose"]) == (TEXT, False)
    assert '"told": ["user1"], "unreached": {}, "without": ["user2"]' in done.stdout
    missed = "These webhooks were not reached: 127.0.0.1. Everybody else has been told."
    assert missed in done.stdout, done.stdout + done.stderr
    assert done.returncode != 0
    assert "/secret" not in done.stdout + done.stderr
    told = {"from_version": VERSION, "to_version": "6.1.2", "at": "Saturday, 22:00 & later", "servers": 2}
    assert posted == [
        ("/slack", {"text": f"hub.example.org: {TEXT}"}),
        ("/json", {"hub": "hub.example.org", "message": TEXT, **told}),
    ]
    [sent] = mailbox.taken
    assert sorted(sent.rcpt_tos) == ["hub@example.org", "user1@example.org", "user2@example.org"]
    message = message_from_bytes(sent.content, policy=policy.default)
    assert "user1" not in sent.content.decode()
    assert message["To"] == "hub@example.org"
    body = message.get_body()
    assert body is not None and body.get_content().strip() == TEXT
    assert json.loads((tmp_path / "told.json").read_text()) == {"text": TEXT, "people": ["user1", "user2"]}
