"""The documentation site: `python -m tools.docs` builds it."""

import sys
from pathlib import Path

# The collection, as a checkout has it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))
