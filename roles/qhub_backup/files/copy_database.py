"""In the hub's pod: copies its SQLite database while the hub writes, checks the copy, prints its checksum."""

import hashlib
import os
import pathlib
import sqlite3
import sys

source, target = sys.argv[1:]
if not os.path.isfile(source):
    sys.exit(f"There is no {source}: name the hub's database, qhub_database.")
os.umask(0o077)
pathlib.Path(target).unlink(missing_ok=True)
copy = sqlite3.connect(target)
with copy:
    sqlite3.connect(f"file:{source}?mode=ro", uri=True).backup(copy)
copy.execute("PRAGMA journal_mode = DELETE")
[verdict] = copy.execute("PRAGMA integrity_check(1)").fetchone()
copy.close()
if verdict != "ok":
    sys.exit(f"The copy of {source} is not intact: {verdict}")
print(hashlib.sha256(pathlib.Path(target).read_bytes()).hexdigest())
