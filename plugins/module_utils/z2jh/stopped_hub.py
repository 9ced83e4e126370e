"""The old hub at 0 pods before its upgrade, so that what it leaves can be copied."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from .cluster import Kubectl

LOOK_SECONDS = 0.5


def stop_hub(kubectl: Kubectl, hub: str, require: Callable[[], None]) -> None:
    """Scale the hub to 0 pods, and return when none is left. ``require`` raises HubError to stop waiting."""
    shown = kubectl.run("get", "deployment", hub, "--show-managed-fields", "--output", "json")
    deployment = json.loads(shown)
    kubectl.scale(f"deployment/{hub}", 0)
    labels = deployment["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    while kubectl.get("pods", selector=selector):
        require()
        time.sleep(LOOK_SECONDS)
    # Helm 4 must meet the owners of fields that it knows: it refuses to change what another program has set.
    owners = {"metadata": {"managedFields": deployment["metadata"]["managedFields"]}}
    argv = ("patch", "deployment", hub, "--type", "merge", "--patch-file", "/dev/stdin")
    kubectl.run(*argv, stdin=json.dumps(owners).encode())
