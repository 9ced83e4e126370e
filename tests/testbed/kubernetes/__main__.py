"""Start a cluster and print how to use it, or remove it: ``python -m tests.testbed.kubernetes up|down``."""

from __future__ import annotations

import sys
import time

from . import one_node

node = one_node()
started = time.monotonic()
if sys.argv[1:] == ["up"]:
    runs = node.runs
    if not runs:
        node.start()
    print(f"export KUBECONFIG={node.kubeconfig}")
    print(f"export PATH={node.kubectl_program.parent}:$PATH")
    print("# it has run before" if runs else f"# ready after {time.monotonic() - started:.0f} s")
elif sys.argv[1:] == ["down"]:
    node.remove()
else:
    sys.exit(__doc__)
