"""What an environment is going to get, in words that another machine can download it by."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field

from ..errors import HubError


@dataclass(frozen=True)
class WheelNeed:
    """Packages that an upgrade installs into an environment, or into one that it makes.

    ``python`` is its minor version, ``3.11``; ``platform`` is named as by `this_platform`. ``packages`` are
    those that it has (normalised name: version), which are kept where the ``requirements`` allow it;
    ``from_scratch`` says that they have to be installed as well. ``constraints`` are lines of the file of
    that name.
    """

    path: str
    python: str
    platform: str
    requirements: tuple[str, ...]
    packages: dict[str, str] = field(default_factory=dict)
    from_scratch: bool = True
    constraints: tuple[str, ...] = ()


def this_platform() -> str:
    """Machine and C library of this host: ``x86_64-manylinux_2_36``. Raises HubError without glibc."""
    try:
        library, _space, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except ValueError:
        library, version = "", ""
    major, _point, minor = version.partition(".")
    if library != "glibc" or not minor.isdigit():
        raise HubError(
            "This host's C library is not glibc, and wheels are downloaded for that alone.",
            "Leave jupyterhub_wheelhouse empty for this host: it installs from an index then.",
        )
    return f"{platform.machine()}-manylinux_{major}_{minor}"
