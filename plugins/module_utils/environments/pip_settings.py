"""What the host tells pip about indexes, proxies and certificates, in uv's words."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

#: pip option -> environment variable of uv, for those that mean the same in both.
_SAME = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "trusted-host": "UV_INSECURE_HOST",
    "constraint": "UV_CONSTRAINT",
    "proxy": "ALL_PROXY",
}
#: pip options that say how pip looks or where it caches, not what it installs.
_HARMLESS = {
    "break-system-packages",
    "cache-dir",
    "compile",
    "default-timeout",
    "disable-pip-version-check",
    "exists-action",
    "keyring-provider",
    "log",
    "no-cache-dir",
    "no-color",
    "no-compile",
    "no-input",
    "no-python-version-warning",
    "no-user",
    "no-warn-script-location",
    "prefer-binary",
    "progress-bar",
    "quiet",
    "require-virtualenv",
    "resume-retries",
    "retries",
    "root-user-action",
    "timeout",
    "upgrade-strategy",
    "use-feature",
    "user",
    "verbose",
    "version-check",
    "yes",
}
_SECTIONS = ("global", "install")


def read_pip_settings(environment: str) -> dict[str, str]:
    """pip's options as they hold in a Python environment: ``{"index-url": ...}``; values may be secrets.

    Files and their order are those of pip's documentation ("Configuration"): host, user, environment, then
    the file named in ``PIP_CONFIG_FILE``, then ``PIP_*`` variables.
    """
    named = os.environ.get("PIP_CONFIG_FILE", "")
    home = Path(os.path.expanduser("~"))
    user = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [
        *(
            Path(folder) / "pip/pip.conf"
            for folder in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
        ),
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        user / "pip/pip.conf",
        Path(environment) / "pip.conf",
        *([Path(named)] if named else []),
    ]
    settings: dict[str, str] = {}
    for file in files if named != os.devnull else []:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, PermissionError):
            continue
        for section in _SECTIONS:
            if parser.has_section(section):
                settings.update({_option(key): value.strip() for key, value in parser.items(section)})
    for key, value in os.environ.items():
        if key.startswith("PIP_") and key != "PIP_CONFIG_FILE" and value:
            settings[_option(key[len("PIP_") :])] = value
    return settings


def uv_settings(settings: dict[str, str]) -> dict[str, str] | None:
    """The same settings as environment variables of uv, or None when uv has no words for one of them."""
    variables: dict[str, str] = {}
    for option, value in settings.items():
        if option in _SAME:
            words = value.split()
            variables[_SAME[option]] = ",".join(words) if option == "find-links" else " ".join(words)
        elif option == "pre":
            variables["UV_PRERELEASE"] = "allow" if _is_true(value) else "if-necessary-or-explicit"
        elif option not in _HARMLESS and option != "no-index":
            return None
    if "UV_INDEX" in variables:
        # pip takes the best version of all indexes, uv the first index that knows the name.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def settings_in_variables(settings: dict[str, str]) -> dict[str, str]:
    """The same settings as pip's own environment variables."""
    return {f"PIP_{option.upper().replace('-', '_')}": value for option, value in settings.items() if value}


def without_configuration() -> dict[str, str]:
    """The variables with which neither pip nor uv reads any file of settings."""
    return {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}


def without_index(settings: dict[str, str]) -> bool:
    """Whether pip is set to use no index; uv has only an argument for that, no variable."""
    return _is_true(settings.get("no-index", ""))


def _option(key: str) -> str:
    return key.lower().replace("_", "-")


def _is_true(value: str) -> bool:
    return value.strip().lower() in ("1", "true", "yes", "on")
