"""Builds the images of all versions of the chart: ``python -m tests.testbed.z2jh``."""

from __future__ import annotations

from .images import build_database_image, build_images
from .versions import VERSIONS

for version in VERSIONS.values():
    print(f"image {build_images(version).hub}: ready", flush=True)
print(f"image {build_database_image()}: ready", flush=True)
