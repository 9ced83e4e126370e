"""The cluster's API as the test bed's own programs use it, with the administrator's certificate."""

from __future__ import annotations

import json
import ssl
import urllib.request
from pathlib import Path
from typing import Any

from .settings import SERVER


class Api:
    """Requests to the API server. Whatever fails is an ``OSError``."""

    def __init__(self, folder: Path) -> None:
        settings = folder / "settings"
        self._context = ssl.create_default_context(cafile=str(settings / "ca.crt"))
        self._context.load_cert_chain(settings / "client.crt", settings / "client.key")

    def is_ready(self) -> bool:
        """Whether the server can serve requests."""
        try:
            return self._request("GET", "/readyz") == b"ok"
        except OSError:
            return False

    def items(self, path: str) -> list[dict[str, Any]]:
        """All objects of a collection."""
        return list(json.loads(self._request("GET", path))["items"])

    def create(self, path: str, item: dict[str, Any]) -> None:
        """Create an object in a collection."""
        self._request("POST", path, json.dumps(item).encode())

    def delete(self, path: str) -> None:
        """Delete an object."""
        self._request("DELETE", path)

    def _request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(SERVER + path, data=body, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, context=self._context, timeout=10) as answer:
            return bytes(answer.read())
