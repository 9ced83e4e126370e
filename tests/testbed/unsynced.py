"""Which files below some folders a power cut would take: those with pages that the disk does not have yet.

Runs on the hub's host, which has Linux 6.5 or later: ``python3 - FOLDER ... < unsynced.py`` prints JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys

CACHESTAT = 451  # the number of the system call on every architecture


def is_unsynced(path: str) -> bool:
    """Whether the kernel has dirty pages of a file, or is writing some; see cachestat(2)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        whole, found = struct.pack("QQ", 0, 0), ctypes.create_string_buffer(40)
        if ctypes.CDLL(None, use_errno=True).syscall(CACHESTAT, descriptor, whole, found, 0):
            raise OSError(ctypes.get_errno(), "cachestat")
        _cached, dirty, in_writeback, _evicted, _recently = struct.unpack("5Q", found.raw)
        return dirty + in_writeback > 0
    finally:
        os.close(descriptor)


def main() -> None:
    unsynced = []
    for folder in sys.argv[1:]:
        for parent, _folders, names in os.walk(folder):
            for path in (os.path.join(parent, name) for name in names):
                if os.path.isfile(path) and not os.path.islink(path) and is_unsynced(path):
                    unsynced.append(path)
    json.dump(unsynced, sys.stdout)


if __name__ == "__main__":
    main()
