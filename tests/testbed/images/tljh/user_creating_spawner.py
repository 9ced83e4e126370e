"""The spawner's class that a site finds in its config. It makes no users: the image has them."""

from __future__ import annotations

from systemdspawner import SystemdSpawner


class UserCreatingSpawner(SystemdSpawner):
    """Starts a server as a unit of systemd, which is no part of the hub's."""
