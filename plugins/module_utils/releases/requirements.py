"""Requirements (PEP 508) and version specifiers (PEP 440): what they ask for, and whether it is there."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Callable, Deque, Sequence

from ..errors import HubError
from .versions import Release, parse_release

# Metadata of old packages has the specifiers in parentheses.
_REQUIREMENT = re.compile(
    r"""\s*(?P<name>[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?)\s*
        (?:\[[^\]]*\])?\s*
        (?:@\s*(?P<address>\S+)(?:\s+|$) | \(?\s*(?P<specifiers>(?:[<>=!~][^;()@]*)?)\)?\s*)
        (?:;(?P<marker>.*))?""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_SPECIFIER = re.compile(r"(~=|===?|!=|<=|>=|<|>)\s*(\S+)")
_MARKER_TOKEN = re.compile(
    r"""\s*(?: (?P<word>\(|\)|and\b|or\b)
             | (?P<left>\w+|'[^']*'|"[^"]*") \s*
               (?P<operator>~=|===?|!=|<=|>=|<|>|(?:not\s+)?in\b) \s*
               (?P<right>\w+|'[^']*'|"[^"]*") )\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Requirement:
    """A package by its normalised name, with the versions or the address and the marker that go with it."""

    name: str
    specifiers: str = ""
    address: str = ""
    marker: str = ""

    def applies(self, python: str) -> bool | None:
        """Whether it holds for a version of Python; None where its marker asks for anything else."""
        tokens = _marker_tokens(self.marker)
        if tokens is None:
            return None
        try:
            value = _any(tokens, python) if tokens else True
        except IndexError:
            return None
        return None if tokens else value


def parse_requirement(text: str) -> Requirement | None:
    """A requirement that names a package; None for one that is an address or a path alone."""
    match = _REQUIREMENT.fullmatch(text)
    if match is None:
        return None
    return Requirement(
        name=normalised(match["name"]),
        specifiers=(match["specifiers"] or "").strip(),
        address=match["address"] or "",
        marker=(match["marker"] or "").strip(),
    )


def requirement_name(text: str) -> str:
    """Normalised name of the package that a requirement asks for, '' for an address or a path alone."""
    requirement = parse_requirement(text)
    return requirement.name if requirement else ""


def normalised(name: str) -> str:
    """A package's name after PEP 503: ``Jupyter_Server`` is ``jupyter-server``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def satisfies(version: str, specifiers: str) -> bool:
    """Whether ``version`` satisfies all of e.g. ``">=3.8,!=3.9.*"``, as in Requires-Python.

    Raises HubError when either cannot be understood.
    """
    release = parse_release(version)
    return all(_satisfies_one(release, part.strip()) for part in specifiers.split(",") if part.strip())


def seems_to_satisfy(version: str, specifiers: str, unclear: bool) -> bool:
    """As `satisfies`; ``unclear`` is the answer where either cannot be understood."""
    try:
        return satisfies(version, specifiers)
    except HubError:
        return unclear


def _satisfies_one(release: Release, specifier: str) -> bool:
    match = _SPECIFIER.fullmatch(specifier)
    if match is None:
        raise HubError(f'"{specifier}" is not a version specifier.', 'Write it like ">=3.10".')
    operator, wanted_text = match.groups()
    if wanted_text.endswith(".*"):
        prefix = parse_release(wanted_text[:-2]).numbers
        starts_so = _padded(release.numbers, len(prefix))[: len(prefix)] == prefix
        return starts_so if operator in ("==", "===") else not starts_so
    wanted = parse_release(wanted_text)
    if operator == "~=":
        prefix = wanted.numbers[:-1]
        return release >= wanted and _padded(release.numbers, len(prefix))[: len(prefix)] == prefix
    return {
        "==": release == wanted,
        "===": release.text == wanted.text,
        "!=": release != wanted,
        "<=": release <= wanted,
        ">=": release >= wanted,
        "<": release < wanted,
        ">": release > wanted,
    }[operator]


def _padded(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return numbers + (0,) * (length - len(numbers))


_Tokens = Deque["re.Match[str]"]


def _marker_tokens(marker: str) -> _Tokens | None:
    """Parentheses, ``and``, ``or`` and comparisons; None where there is anything else."""
    tokens: _Tokens = deque()
    position = 0
    while position < len(marker):
        match = _MARKER_TOKEN.match(marker, position)
        if match is None:
            return None
        tokens.append(match)
        position = match.end()
    return tokens


def _any(tokens: _Tokens, python: str) -> bool | None:
    values = _joined_by("or", _all, tokens, python)
    return True if True in values else None if None in values else False


def _all(tokens: _Tokens, python: str) -> bool | None:
    values = _joined_by("and", _one, tokens, python)
    return False if False in values else None if None in values else True


def _joined_by(
    word: str, part: Callable[[_Tokens, str], bool | None], tokens: _Tokens, python: str
) -> Sequence[bool | None]:
    values = [part(tokens, python)]
    while tokens and tokens[0]["word"] == word:
        tokens.popleft()
        values.append(part(tokens, python))
    return values


def _one(tokens: _Tokens, python: str) -> bool | None:
    """One comparison, or what is in parentheses; IndexError where the marker ends too early."""
    token = tokens.popleft()
    if token["word"] == "(":
        value = _any(tokens, python)
        return value if tokens.popleft()["word"] == ")" else None
    versions = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])}
    version = versions.get(token["left"] or "")
    if not version or token["right"][0] not in "'\"":
        return None
    try:
        return satisfies(version, token["operator"] + token["right"][1:-1])
    except HubError:
        return None
