"""What an upgrade changes in the cluster: objects and values before and after, without what is secret."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Iterator, Sequence

from . import values as of
from .values import HIDDEN, SECRET_KEY, Values, redacted

ADDED, REMOVED, CHANGED = "added", "removed", "changed"

#: Longer texts are shown by their size and digest.
_LONGEST = 300
#: Labels that have the version of the chart.
_NOISE = ("chart", "helm.sh/chart", "app.kubernetes.io/version")


@dataclass(frozen=True)
class ObjectChange:
    """An object that is added, removed or changed, as text before and after."""

    kind: str
    name: str
    change: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class ValueChange:
    """A value that counts after the upgrade and is another one than before."""

    key: str
    before: str
    after: str


def of_objects(
    before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], secrets: Sequence[str]
) -> Iterator[ObjectChange]:
    """The objects that differ, by kind and name."""
    old, new = _by_name(before), _by_name(after)
    for kind, name in sorted({*old, *new}):
        texts = [
            _text(found, secrets) if found else "" for found in (old.get((kind, name)), new.get((kind, name)))
        ]
        if texts[0] != texts[1]:
            change = CHANGED if all(texts) else ADDED if texts[1] else REMOVED
            yield ObjectChange(kind, name, change, *texts)


def of_values(before: Values, after: Values, supplied: Sequence[Values]) -> Iterator[ValueChange]:
    """The values that differ, with the charts' defaults; of the user's own only that they do.

    A chart's defaults are public; what a user has ``supplied``, then or now, may be a secret anywhere.
    """
    old, new = dict(of.leaves(before)), dict(of.leaves(after))
    for key in sorted({*old, *new}):
        if key in old and key in new and old[key] == new[key]:
            continue
        own = of.is_free(key) or any(of.has(values, key) for values in supplied)
        yield ValueChange(key, _shown(key, old, own), _shown(key, new, own))


def _shown(key: str, found: dict[str, Any], own: bool) -> str:
    if key not in found:
        return "(not set)"
    value = found[key]
    if isinstance(value, (bool, int, float)) or value is None:
        return json.dumps(value)
    return HIDDEN if own else _short(json.dumps(value))


def _by_name(objects: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["kind"], each.get("metadata", {}).get("name", "")): each for each in objects}


def _text(found: dict[str, Any], secrets: Sequence[str]) -> str:
    """An object as text, its lists and mappings indented."""
    shown = _public(found, found.get("kind") == "Secret")
    return redacted(json.dumps(shown, indent=2, sort_keys=True, ensure_ascii=False), secrets) + "\n"


def _public(value: Any, secret: bool = False, key: str = "") -> Any:
    """What may be shown of an object: no data of a Secret, no variable that names a secret, no noise."""
    if isinstance(value, dict):
        if SECRET_KEY.search(str(value.get("name", ""))) and isinstance(value.get("value"), str):
            value = {**value, "value": HIDDEN}
        return {
            name: dict.fromkeys(each, HIDDEN)
            if secret and name in ("data", "stringData") and isinstance(each, dict)
            else _public(each, secret, name)
            for name, each in value.items()
            if each is not None and not _is_noise(key, name)
        }
    if isinstance(value, list):
        return [_public(each, secret, key) for each in value]
    return _short(value) if isinstance(value, str) else value


def _is_noise(parent: str, name: str) -> bool:
    """Whether a label, an annotation or an entry changes with each version, and means nothing by itself."""
    named = parent in ("labels", "annotations", "matchLabels") and name in _NOISE
    return named or name.startswith(("checksum/", "checksum_"))


def _short(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"({len(text.splitlines())} lines, sha256 {digest})"
