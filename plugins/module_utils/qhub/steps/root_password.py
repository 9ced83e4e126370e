"""A password of its own for Keycloak's root: the first one is in the config, and so in the repository."""

from __future__ import annotations

import secrets
from pathlib import Path

from ...errors import HubError
from ...system import files
from ..keycloak import Keycloak
from .base import Result, Step, Work

#: Bytes of chance in it.
LENGTH = 24


class RootPassword(Step):
    """Makes a password, keeps it, and changes Keycloak's; or sees that a person has changed it.

    The new password is on the disk before Keycloak has it: after a run that was cut off, one of two is right.
    """

    name = "root_password"
    title = "Change the password of Keycloak's root"
    only_with_keycloak = True

    def carry_out(self, work: Work) -> Result:
        first = work.config.get("security", "keycloak", "initial_root_password")
        if not work.site.keycloak_password_file:
            return _changed_by_a_person(work, first)
        path = _place(work)
        part = path.with_name(f"{path.name}.new")
        if path.exists() and not part.exists():
            new = _read(path)
            if not work.keycloak(new).lets_in():
                raise HubError(
                    f"{path} is there, and Keycloak's root does not have the password in it.",
                    "Nothing was changed. Name a file that is not there yet: qhub_keycloak_password_file.",
                )
        else:
            if not part.exists():
                files.write(part, f"{secrets.token_urlsafe(LENGTH)}\n".encode())
            new = _read(part)
            if not work.keycloak(new).lets_in():
                work.keycloak(work.site.keycloak_password or first).change_own_password(new)
            _require_refused(work.keycloak(first), first, new)
            files.rename(part, path)
        _require_refused(work.keycloak(first), first, new)
        return Result({"file": str(path), "first_password": "is refused"})


def _place(work: Work) -> Path:
    """Where the new password is to be. Raises HubError where others would read it, or it cannot be."""
    path = Path(work.site.keycloak_password_file)
    if not path.parent.is_dir():
        raise HubError(
            f"There is no folder {path.parent} for the new password.",
            "Make it, for its owner alone, or name another one: qhub_keycloak_password_file.",
        )
    if work.site.path.resolve() in path.resolve().parents:
        raise HubError(
            f"{path} is in the site's folder: the new password would get into the repository.",
            "Name a file elsewhere: qhub_keycloak_password_file.",
        )
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise HubError(
            f"The password in {path} cannot be read: {error}.",
            "Name a file that is not there yet: qhub_keycloak_password_file.",
        ) from error


def _changed_by_a_person(work: Work, first: str) -> Result:
    present = work.site.keycloak_password
    if not present or present == first:
        raise HubError(
            "Keycloak's root is to have another password than the config's, and no file is named for it.",
            "Name one, outside of the site's folder: qhub_keycloak_password_file. Or change it in Keycloak, "
            "and name the new one: qhub_keycloak_password.",
        )
    work.keycloak(present).users()
    _require_refused(work.keycloak(first), first, present)
    return Result({"changed_by": "a person", "first_password": "is refused"})


def _require_refused(keycloak: Keycloak, first: str, new: str) -> None:
    """Raises HubError where the password of the config still lets in."""
    if first and first != new and keycloak.lets_in():
        raise HubError(
            "Keycloak still lets root in with the password that is in the config.",
            "Change it in Keycloak's own pages, and run again.",
        )
