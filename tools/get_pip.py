"""Stands in for get-pip.py, which ansible-test runs in new environments: pip, out of the wheel beside it."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

FOR_GET_PIP_ONLY = {"--no-setuptools", "--no-wheel"}

version = Path(__file__).stem[len("get_pip_") :].replace("_", ".")
sys.path.insert(0, str(Path(__file__).with_name(f"pip-{version}-py3-none-any.whl")))
sys.argv[1:] = ["install", *(argument for argument in sys.argv[1:] if argument not in FOR_GET_PIP_ONLY)]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
