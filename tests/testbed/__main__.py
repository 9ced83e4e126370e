"""Builds the test bed's images, all or those named, side by side: ``python -m tests.testbed [NAME ...]``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from .images import IMAGES, name_for_molecule
from .staged import staged_image

MAKERS: dict[str, Callable[[], object]] = {name: partial(name_for_molecule, name) for name in IMAGES}
MAKERS["staged"] = staged_image

with ThreadPoolExecutor() as pool:
    for name, made in [(name, pool.submit(MAKERS[name])) for name in sys.argv[1:] or MAKERS]:
        made.result()
        print(f"image {name}: ready", flush=True)
