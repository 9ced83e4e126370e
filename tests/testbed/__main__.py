"""Builds the test bed's images side by side, all or those named: ``python -m tests.testbed [NAME ...]``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from .images import IMAGES, name_for_molecule
from .staged import staged_image

MAKERS: dict[str, Callable[[], object]] = {name: partial(name_for_molecule, name) for name in IMAGES}
MAKERS["staged"] = staged_image
#: Nothing in `make test` needs these; they are built when they are named.
NAMED_ONLY = {"littlest"}
WANTED = sys.argv[1:] or [name for name in MAKERS if name not in NAMED_ONLY]

with ThreadPoolExecutor() as pool:
    for name, made in [(name, pool.submit(MAKERS[name])) for name in WANTED]:
        made.result()
        print(f"image {name}: ready", flush=True)
