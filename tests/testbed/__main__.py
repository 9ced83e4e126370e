"""Builds the test bed's images, all or those named: ``python -m tests.testbed [NAME ...]``."""

from __future__ import annotations

import sys

from .images import IMAGES, image

for wanted in sys.argv[1:] or IMAGES:
    print(f"image {image(wanted)}: ready", flush=True)
