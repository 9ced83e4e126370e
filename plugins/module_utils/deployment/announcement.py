"""What a hub tells people on its pages: a text in a file, shown by a snippet in the hub's config."""

from __future__ import annotations

import contextlib
import difflib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ..errors import HubError
from ..services.kinds import service_of
from ..system import files
from ..system.processes import started_at
from .model import Deployment

TEXT = "hubops_announcement.txt"
_BEGIN = "# hubops.jupyterhub: begin of the announcement"
#: JupyterHub calls what is callable from 5.0 on, with the user. Releases before take the value as it is,
#: and Jinja asks it for its HTML on each page. So both show what the file says now, without a restart.
_SNIPPET = """
{begin}
# Every page of the hub shows what {path} says, while there is such a file.
class _HubopsAnnouncement:
    def __init__(self, site):
        self.site = site

    def __call__(self, user):
        return self.together(self.site(user) if callable(self.site) else self.site)

    def __html__(self):
        return self.together(self.site)

    def __bool__(self):
        return bool(self.__html__())

    def together(self, site):
        import html

        try:
            with open({path!r}, encoding="utf-8") as file:
                text = html.escape(file.read().strip()).replace("\\n", "<br>")
        except OSError:
            text = ""
        return "<br>".join(str(each) for each in (text, site) if each)


_hubops_given = c.JupyterHub.template_vars
_hubops_given = dict(_hubops_given if isinstance(_hubops_given, dict) else _hubops_given.get_value({{}}))
_hubops_given["announcement"] = _HubopsAnnouncement(_hubops_given.get("announcement"))
c.JupyterHub.template_vars = _hubops_given
# hubops.jupyterhub: end of the announcement
"""


@dataclass(frozen=True)
class Announcement:
    """The announcement of one hub."""

    config: Path
    """The hub's config, that its name leads to."""
    text: Path
    """The file that the snippet reads, beside the config's name."""
    snippet: str

    @property
    def is_installed(self) -> bool:
        """Whether the config has the snippet."""
        return _BEGIN.encode() in self.config.read_bytes()

    def install(self) -> None:
        """Add the snippet to the config. Raises HubError where that cannot be written."""
        content = self.config.read_bytes()
        files.write(
            self.config, content + self.snippet.encode(), mode=stat.S_IMODE(self.config.stat().st_mode)
        )

    def diff(self) -> str:
        """What `install` adds to the config; nothing else of it, which may have secrets."""
        added = difflib.unified_diff(
            [], self.snippet.splitlines(), str(self.config), str(self.config), lineterm=""
        )
        return "\n".join(added)

    def shown(self) -> str:
        """What the pages say; '' for nothing."""
        try:
            return self.text.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def show(self, text: str) -> None:
        """Have the pages say a ``text``, in which nothing is HTML; '' for nothing. Raises HubError."""
        if text:
            files.write(self.text, f"{text}\n".encode(), mode=0o644)
        else:
            with contextlib.suppress(FileNotFoundError):
                self.text.unlink()


def announcement_of(deployment: Deployment) -> Announcement:
    """The announcement of a hub. Raises HubError where its config is none that a snippet can be added to."""
    name = deployment.config.file
    if not name or not name.endswith(".py"):
        raise HubError(
            f"The hub {deployment.name} has no config in Python, which an announcement needs.",
            "Name one in the service's command: jupyterhub -f /etc/jupyterhub/jupyterhub_config.py.",
        )
    context = service_of(deployment.service).context()
    text = Path(name).with_name(TEXT)
    snippet = _SNIPPET.format(begin=_BEGIN, path=context.inside(str(text)))
    return Announcement(Path(os.path.realpath(name)), text, snippet)


def is_loaded(deployment: Deployment, announcement: Announcement) -> bool:
    """Whether the hub that runs was started with the snippet."""
    pid = service_of(deployment.service).main_pid()
    try:
        return bool(pid) and started_at(pid or 0) > announcement.config.stat().st_mtime
    except OSError:
        return False


def announce(deployment: Deployment, text: str) -> None:
    """Have a hub with the snippet say a ``text``, '' for nothing; one without says nothing, as ever.

    A run neither fails nor waits for it.
    """
    with contextlib.suppress(HubError, OSError):
        announcement = announcement_of(deployment)
        if announcement.is_installed:
            announcement.show(text)
