"""Users of this machine, and folders where they come to: for tests of what root does for others.

They need root, as CI has it; without it they fail and say so.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Accounts that every Debian has and that nothing runs as.
NAMES = ("games", "news", "uucp", "irc")
#: Debian's Python, which all users can run; that of the tests may be in root's home.
PYTHON = "/usr/bin/python3"


def require_root() -> None:
    """Fail where we are not root."""
    if os.geteuid() != 0:
        pytest.fail("This test does as root what is another user's: run it as root (sudo pytest ...).")


def account(name: str) -> pwd.struct_passwd:
    """One of the `NAMES`. Fails where this machine has no such account, or we are not root."""
    require_root()
    try:
        return pwd.getpwnam(name)
    except KeyError:
        pytest.fail(f"This machine has no account {name}, which is one of Debian's own: make it (useradd).")


@contextlib.contextmanager
def place_for_all() -> Iterator[Path]:
    """A folder of ours that every user comes into, which pytest's own are not."""
    made = Path(tempfile.mkdtemp(prefix="hubops-people-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made)


def give(path: Path, name: str) -> None:
    """Make a user the owner of a folder and of all that is in it."""
    owner = account(name)
    for each in [path, *path.rglob("*")]:
        os.chown(each, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
