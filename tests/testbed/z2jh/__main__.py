"""Builds the images of all versions of the chart: ``python -m tests.testbed.z2jh``."""

from __future__ import annotations

from .images import SERVERS, build_images, build_server_image
from .versions import VERSIONS

for version in VERSIONS.values():
    print(f"image {build_images(version).hub}: ready", flush=True)
for kind in SERVERS:
    print(f"image {build_server_image(kind)}: ready", flush=True)
