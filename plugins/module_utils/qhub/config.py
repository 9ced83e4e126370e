"""``qhub-config.yaml`` read and changed by lines, so that its comments and its order stay.

A host has no YAML library that could keep them. What is read here is what QHub itself writes: mappings in
block style, plain or quoted values. Whatever else stands where something is needed is refused with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import HubError

NAME = "qhub-config.yaml"
#: Without these no version of QHub accepts a config.
ESSENTIAL = ("project_name", "provider", "domain", "security")
#: The section that has the version of Kubernetes, by the provider.
SECTIONS = {
    "aws": "amazon_web_services",
    "azure": "azure",
    "do": "digital_ocean",
    "gcp": "google_cloud_platform",
}

#: How Keycloak calls the providers of `security.authentication.type`, from 0.4 on.
BROKERS = {"Auth0": "auth0", "GitHub": "github"}

_ENTRY = re.compile(
    r"""(?P<indent>\ *)
        (?P<key>"[^"]*"|'[^']*'|[^\s\#'"&*!|>%@`\[\]{},:-][^:]*?)
        \ *:(?:\ +(?P<rest>.*))?""",
    re.VERBOSE,
)
_VALUE = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|(?:[^\s#]|\ +(?!\#)\S|(?<=\S)\#)*)(\s+\#.*)?\s*""")
_IMAGE = re.compile(r".+:v(\d[\w.]*)")
#: Plain text that YAML would read as something else than text.
_OTHER_THAN_TEXT = re.compile(r"[\d.+-][\d._eE+-]*|true|false|yes|no|on|off|null|~", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """A key of a mapping, and the value on its line."""

    path: tuple[str, ...]
    line: int
    """Its number, the first is 0."""
    rest: str
    """What stands behind the colon, with its comment."""

    @property
    def written(self) -> str:
        """The value as it is written."""
        found = _VALUE.fullmatch(self.rest)
        return found[1] if found else self.rest

    @property
    def value(self) -> str:
        """The value; empty for a key that has a mapping, a list or nothing."""
        text = self.written
        if text[:1] == "'":
            return text[1:-1].replace("''", "'")
        return text[1:-1] if text[:1] == '"' else text


@dataclass(frozen=True)
class Config:
    """The text of a config, and its entries by their paths."""

    text: str
    entries: dict[tuple[str, ...], Entry]

    def get(self, *path: str) -> str:
        """The value of a key, empty where there is none. Raises HubError where it is no plain value."""
        entry = self.entries.get(path)
        if entry is None:
            return ""
        if entry.written[:1] in ("&", "*", "!", "{", "[", "|", ">"):
            raise HubError(
                f"{NAME}, line {entry.line + 1}: {'.'.join(path)} is not written as a plain value.",
                "Write the value itself behind the colon, without anchors, tags, braces or blocks.",
            )
        return entry.value

    def has(self, *path: str) -> bool:
        return path in self.entries

    def children(self, *path: str) -> tuple[str, ...]:
        """The keys of a mapping, in their order. Raises HubError where it is not in block style."""
        entry = self.entries.get(path)
        if entry and entry.written not in ("", "{}"):
            raise HubError(
                f"{NAME}, line {entry.line + 1}: {'.'.join(path)} is not a mapping in block style.",
                "Write each of its keys on a line of its own, as QHub does.",
            )
        return tuple(each[-1] for each in self.entries if each[:-1] == path)

    @property
    def version(self) -> str:
        """QHub's, from ``qhub_version`` or the tag of the hub's image, which older versions have alone."""
        stated = self.get("qhub_version")
        image = _IMAGE.fullmatch(self.get("default_images", "jupyterhub"))
        return stated or (image[1] if image else "")

    @property
    def kubernetes_version(self) -> tuple[str, ...]:
        """Where the version of Kubernetes stands."""
        return (SECTIONS.get(self.get("provider"), ""), "kubernetes_version")

    @property
    def authentication(self) -> str:
        return self.get("security", "authentication", "type")

    @property
    def ci_cd(self) -> str:
        return self.get("ci_cd", "type")

    @property
    def prevents_deploy(self) -> bool:
        return self.get("prevent_deploy").lower() in ("true", "yes", "on")

    def with_value(self, path: tuple[str, ...], value: str) -> Config:
        """The same with another value of a key that is there; its comment and its quotes stay."""
        entry = self._entry(path)
        quote = entry.written[:1] if entry.written[:1] in ("'", '"') else ""
        if not quote and _OTHER_THAN_TEXT.fullmatch(value):
            quote = "'"
        lines = self.text.splitlines(keepends=True)
        line = lines[entry.line]
        at = line.rindex(entry.rest) if entry.rest else len(line.rstrip("\n"))
        tail = line[at + len(entry.written) :]
        lines[entry.line] = f"{line[:at]}{quote}{value}{quote}{tail}"
        return parse("".join(lines))

    def without(self, path: tuple[str, ...]) -> Config:
        """The same without the line of a plain value."""
        entry = self._entry(path)
        lines = self.text.splitlines(keepends=True)
        del lines[entry.line]
        return parse("".join(lines))

    def with_section(self, name: str, **values: str) -> Config:
        """The same with a new mapping at its end."""
        text = self.text if self.text.endswith("\n") or not self.text else f"{self.text}\n"
        return parse(f"{text}{name}:\n" + "".join(f"  {key}: {value}\n" for key, value in values.items()))

    def _entry(self, path: tuple[str, ...]) -> Entry:
        if path not in self.entries or not self.get(*path):
            raise HubError(
                f"{NAME} has no {'.'.join(path)}.", "Add it to the config, with the value it has now."
            )
        return self.entries[path]


def parse(text: str) -> Config:
    """Read a config. Raises HubError with the line that cannot be read."""
    entries: dict[tuple[str, ...], Entry] = {}
    open_keys: list[tuple[int, str]] = []
    skipped_from = -1
    """Lines that are indented by as much, or more, belong to a value or a list."""
    for number, line in enumerate(text.splitlines()):
        content = line.strip()
        if not content or content.startswith("#") or (content == "---" and not entries):
            continue
        indent = len(line) - len(line.lstrip(" "))
        if skipped_from >= 0:
            in_list = indent == skipped_from - 1 and content.startswith("- ")
            if indent >= skipped_from or in_list:
                continue
            skipped_from = -1
        if content.startswith("- ") or content == "-":
            skipped_from = indent + 1
            continue
        found = _ENTRY.fullmatch(line.rstrip())
        if found is None:
            raise HubError(
                f"{NAME}, line {number + 1} is not a key with a value.",
                "Write the config as QHub does: spaces for indentation, one key a line, one document.",
            )
        while open_keys and open_keys[-1][0] >= indent:
            open_keys.pop()
        key = found["key"]
        open_keys.append((indent, key[1:-1] if key[:1] in "'\"" else key))
        path = tuple(name for _indent, name in open_keys)
        if path in entries:
            raise HubError(
                f"{NAME}, line {number + 1}: {'.'.join(path)} stands there a second time.",
                "Remove one of them.",
            )
        entry = Entry(path, number, found["rest"] or "")
        entries[path] = entry
        if entry.written:
            skipped_from = indent + 1
    return Config(text, entries)


def read(folder: Path) -> Config:
    """The config of a site. Raises HubError where it is missing, cannot be read, or is not QHub's."""
    path = folder / NAME
    try:
        config = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise HubError(
            f"There is no {path}.",
            "Name the folder of the site's config, a clone of its repository: qhub_folder.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise HubError(f"Cannot read {path}: {error}.", "It must be readable, and UTF-8.") from error
    missing = [key for key in ESSENTIAL if not config.has(key)]
    if missing:
        raise HubError(
            f"{path} is not a config of QHub: it has no {', '.join(missing)}.",
            "Name the folder with the config that the site was deployed with: qhub_folder.",
        )
    return config
