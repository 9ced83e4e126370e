"""Notifications in JupyterLab, where a user's server has jupyterlab_notifications_extension to take them.

JupyterLab's own announcements are none: it asks one feed for them when a page is loaded, and only where its
user has agreed to that.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .api import Answer, ask
from .running_servers import AT_ONCE, RunningServer

EXTENSION = "jupyterlab-notifications-extension"
ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Told:
    """Which users' servers have taken a notification, by their names for people."""

    told: list[str]
    without: list[str]
    """Those that do not have the extension."""
    unreached: dict[str, str]
    """Those that have answered something else, and what."""


def send(public_url: str, token: str, servers: Iterable[RunningServer], text: str) -> Told:
    """Have JupyterLab show a ``text`` to all who use one of the servers, until they close it.

    ``public_url`` is the proxy's; the ``token`` has the scope ``access:servers``.
    """
    address = urllib.parse.urlsplit(public_url)
    root = f"{address.scheme}://{address.netloc}"
    body = {"message": text, "type": "warning", "autoClose": False, "immediate": True}

    def tell(server: RunningServer) -> Answer:
        url = f"{root}{server.path}{EXTENSION}/ingest"
        return ask(url, token, "POST", body, timeout=ANSWER_SECONDS)

    wanted = list(servers)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = {server.label: answer for server, answer in zip(wanted, pool.map(tell, wanted))}
    others = {label: answer for label, answer in answers.items() if answer.status not in (200, 404)}
    return Told(
        told=[label for label, answer in answers.items() if answer.status == 200],
        without=[label for label, answer in answers.items() if answer.status == 404],
        unreached={label: str(answer) for label, answer in others.items()},
    )
