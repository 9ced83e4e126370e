"""What the target's chart makes of the release's values: objects, or everything that it refuses, at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator

from . import documents
from .cluster import Chart, CommandError, Helm

REFUSED, REMOVED, FAILED = "refused", "removed", "failed"


@dataclass(frozen=True)
class Problem:
    """Why the chart makes nothing of the values; ``key`` is the dotted one, where the message names it."""

    kind: str
    key: str
    message: str


@dataclass(frozen=True)
class Rendered:
    """Objects, where there is no problem."""

    objects: tuple[dict[str, Any], ...]
    problems: tuple[Problem, ...]


def render(
    helm: Helm, release: str, chart: Chart, values: dict[str, Any], kube_version: str, server: bool
) -> Rendered:
    """The chart's objects, hooks left out; ``server`` lets it look at the cluster, as an upgrade would.

    What the schema refuses hides what the templates refuse, so that those are asked again without it.
    """
    problems: list[Problem] = []
    for schema in (True, False):
        try:
            text = helm.template(release, chart, values, kube_version, schema=schema, server=server)
        except CommandError as error:
            if error.code is None or error.cluster_failure:
                raise
            problems += problems_of(error.output)
            if schema and any(each.kind == REFUSED for each in problems):
                continue
            return Rendered((), tuple(problems))
        if problems:
            break
        return Rendered(tuple(objects(helm, text)), ())
    return Rendered((), tuple(problems))


def objects(helm: Helm, manifest: str) -> list[dict[str, Any]]:
    """The objects of a manifest, those of lists one by one."""
    texts = [text for text in re.split(r"(?m)^---\s*$", manifest) if _has_content(text)]
    return [each for each in documents.read(helm, texts) if each.get("kind")]


def problems_of(output: str) -> Iterator[Problem]:
    """What Helm's error says, one by one."""
    if "meet the specifications of the schema" in output:
        yield from _schema(output)
    elif "execution error at" in output:
        yield from _removed(output)
    else:
        lines = [line for line in output.splitlines() if line.startswith("Error: ")]
        yield Problem(
            FAILED, "", (lines or output.strip().splitlines() or ["no reason"])[0][len("Error: ") :]
        )


def _schema(output: str) -> Iterator[Problem]:
    """Lines of Helm before 3.18, ``- hub.db: ...``, and of later ones, ``- at '/hub/db': ...``."""
    for line in output.splitlines():
        found = re.match(r"\s*- (?:at '(?P<pointer>[^']*)'|(?P<dotted>[^:]+)): (?P<message>.*)", line)
        if not found or found["message"] in ("validation failed", "allOf failed"):
            continue
        key = _key(found["pointer"]) if found["dotted"] is None else found["dotted"].replace("(root)", "")
        message = found["message"]
        unknown = re.match(r"additional propert(?:y|ies) (.+?) (?:is )?not allowed", message, re.IGNORECASE)
        if unknown:
            for name in re.findall(r"[^', ]+", unknown[1]):
                yield Problem(REFUSED, f"{key}.{name}".lstrip("."), "the chart knows no such key")
        else:
            # Newer ones begin with the value, which may be a secret; older ones repeat the key.
            message = re.sub(r"^'.*' (does not match|is not valid)", r"the value \1", message)
            yield Problem(REFUSED, key, message.replace(f"{key} must", "must", 1))


def _removed(output: str) -> Iterator[Problem]:
    """What a chart says by the function ``fail``: in NOTES.txt a heading, then a paragraph for each key."""
    message = re.split(r"execution error at \([^)]*\):", output)[-1].partition("Use --debug flag")[0]
    text = "\n".join(line for line in message.splitlines() if not line.startswith("###")).strip()
    parts = re.split(r"\n\s*\n(?=[A-Z]+: )", text)
    for part in parts:
        if part.startswith("BREAKING: "):
            continue
        found = re.match(r"(?:CHANGED|REMOVED|RENAMED|DEPRECATED): ([a-z][\w.]*)", part)
        sentence = re.sub(r"\n(\s*\n)+", "\n", part.strip())
        yield Problem(REMOVED if found else FAILED, found[1].rstrip(".") if found else "", sentence)


def _key(pointer: str) -> str:
    """``/hub/db/type`` as a dotted key."""
    return ".".join(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def _has_content(text: str) -> bool:
    return any(line.strip() and not line.startswith("#") for line in text.splitlines())
