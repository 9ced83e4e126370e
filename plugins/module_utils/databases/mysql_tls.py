"""TLS of a MySQL or MariaDB connection, as the hub's driver does it: what it shows, and what it verifies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import HubError

#: Options that name a file or a folder.
FILES = ("ssl_ca", "ssl_capath", "ssl_cert", "ssl_key")
#: Of these in a URL SQLAlchemy makes the mapping ``ssl``.
_MAPPED = ("ca", "capath", "cert", "key", "cipher", "check_hostname")
#: PyMySQL's arguments by which it forgets that mapping.
_INSTEAD = ("ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_cert", "ssl_verify_identity")
_NOT, _YES = ("none", "0", "false", "no"), ("optional", "required", "1", "true", "yes")


def of_pymysql(query: Mapping[str, str], given: Mapping[str, Any], file: Mapping[str, str]) -> dict[str, str]:
    """What PyMySQL does, as parameters of a URL by which it does the same.

    ``query`` is of the hub's URL, ``given`` are the driver's arguments, ``file`` is an option file. An
    authority is named where it counts: some arguments name one by which nothing is verified. Raises HubError
    for a key with a passphrase.
    """
    flat = {name: value for name, value in query.items() if name[len("ssl_") :] not in _MAPPED}
    flat.update(given)
    if flat.get("ssl_disabled"):
        return {"ssl_disabled": "true"}
    mapping = given.get("ssl") or {key: query[f"ssl_{key}"] for key in _MAPPED if f"ssl_{key}" in query}
    for name, value in file.items():
        mapping = {name[len("ssl_") :]: value, **mapping}
    if any(flat.get(name) for name in _INSTEAD):
        mapping = {name: flat.get(f"ssl_{name}") for name in ("ca", "cert", "key")}
        mapping["password"] = flat.get("ssl_key_password")
        mapping["check_hostname"] = bool(flat.get("ssl_verify_identity"))
        mapping["verify_mode"] = mapping["check_hostname"] or flat.get("ssl_verify_cert") or False
    require_no_passphrase(mapping.get("password"), mapping.get("key") or mapping.get("cert"))
    return _parameters(mapping) if mapping else {}


def require_no_passphrase(passphrase: object, key: object) -> None:
    """Raise HubError for a key that the server's client programs cannot read."""
    if passphrase:
        raise HubError(
            f"{key}, the key of the certificate that the hub shows to its database, has a passphrase, and no "
            "client program of MySQL or MariaDB can be told one.",
            "Give the hub a copy without (openssl pkey -in KEY -out COPY), of mode 0600 and the hub's user; "
            "name that in c.JupyterHub.db_kwargs, without a password, and restart the hub.",
        )


def _parameters(mapping: Mapping[str, Any]) -> dict[str, str]:
    authority = {f"ssl_{key}": str(mapping[key]) for key in ("ca", "capath") if mapping.get(key)}
    shown = {f"ssl_{key}": str(mapping[key]) for key in ("cert", "key", "cipher") if mapping.get(key)}
    if authority and _verifies(mapping.get("verify_mode")):
        named = str(mapping.get("check_hostname", True)).lower() not in ("", *_NOT)
        return {**authority, **shown, "ssl_check_hostname": "true" if named else "false"}
    if _verifies(mapping.get("verify_mode"), otherwise=False) and not shown:
        # Against the authorities that its Python knows.
        return {"ssl_verify_cert": "true"}
    return {**shown, "ssl_check_hostname": "false"}


def _verifies(mode: object, otherwise: bool = True) -> bool:
    """Whether the server's certificate has to be valid; ``otherwise`` without, and with an unknown, mode."""
    word = str(mode).lower() if isinstance(mode, (bool, str)) else ""
    return word in _YES or (word not in _NOT and otherwise)
