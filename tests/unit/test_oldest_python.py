"""All of module_utils runs on every Python that a host may have: it is imported by each that is here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import REPOSITORY
from tests.pythons import pythons

#: Everything below a folder, as a package of that name; what needs Ansible itself is left out.
PROGRAM = """
import importlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root.parents[4]))
sys.dont_write_bytecode = True
for path in sorted(root.rglob("*.py")):
    name = ".".join(path.relative_to(root.parents[4]).with_suffix("").parts)
    if path.name not in ("__init__.py", "arguments.py"):
        importlib.import_module(name)
        print(name)
"""


# In the same order in each worker.
@pytest.mark.parametrize("python", sorted({sys.executable, *pythons().values()}), ids=str)
def test_every_module_is_imported(python: str) -> None:
    root = REPOSITORY / ".collections/ansible_collections/hubops/jupyterhub/plugins/module_utils"
    done = subprocess.run([python, "-I", "-c", PROGRAM, str(root)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 100
