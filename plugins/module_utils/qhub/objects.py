"""A backup that is an object at S3: its size and checksum as S3 has them, asked by Amazon's own `aws`."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from ..errors import HubError
from . import programs

SCHEME = "s3://"
UPLOAD = "Upload it with `aws s3api put-object` or `aws s3 cp`, and --checksum-algorithm SHA256."


@dataclass(frozen=True)
class Object:
    """What S3 says of an object."""

    size: int
    """Bytes."""
    checksum: str
    """SHA-256 in base64, with a minus and a number where it is that of the parts' checksums."""
    modified: float
    """Seconds since the epoch."""

    def has(self, checksum: str) -> bool:
        """Whether it is the checksum, in hexadecimal or as S3 writes it."""
        if "-" in self.checksum or not self.checksum:
            return checksum == self.checksum
        return checksum == self.checksum or checksum.lower() == base64.b64decode(self.checksum).hex()


def is_object(path: str) -> bool:
    """Whether it is an object's address, ``s3://bucket/key``, and not a file's path."""
    return path.startswith(SCHEME)


def look(address: str) -> Object:
    """What S3 says of it now. Raises HubError where it cannot be asked, or has no checksum of it."""
    bucket, _slash, key = address[len(SCHEME) :].partition("/")
    argv = ["aws", "s3api", "head-object", "--bucket", bucket, "--key", key]
    output = programs.run([*argv, "--checksum-mode", "ENABLED", "--output", "json"], Path("/"), cloud=True)
    if output.status:
        raise HubError(
            f"S3 does not show the backup {address}: {output.end.strip()}",
            "Look at its address, and at the credentials of the cloud: environment variables of the play.",
        )
    shown = json.loads(output.text[output.text.index("{") :])
    if not shown.get("ChecksumSHA256"):
        raise HubError(f"S3 has no SHA-256 of the backup {address}.", UPLOAD)
    return Object(int(shown["ContentLength"]), shown["ChecksumSHA256"], _seconds(shown["LastModified"]))


def _seconds(written: str) -> float:
    """A time as version 2 of `aws` writes it, or as version 1 does; since the epoch."""
    try:
        return datetime.fromisoformat(written.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return parsedate_to_datetime(written).timestamp()
