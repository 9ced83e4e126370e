"""YAML read by Helm, where there is no library for it; it also knows constraints of versions."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Sequence

from ..errors import HubError
from .cluster import Helm

_CHART = "apiVersion: v2\nname: documents\nversion: 1.0.0\n"
#: One object whose text is a list of all documents.
_TEMPLATE = """\
{{- $all := list }}
{{- range $number := until (int .Values.count) }}
{{- $all = append $all ($.Files.Get (printf "documents/%d" $number) | fromYaml) }}
{{- end }}
{{ dict "apiVersion" "v1" "kind" "ConfigMap" "metadata" (dict "name" "documents")
   "data" (dict "documents" (toJson $all)) | toJson }}
"""
_COMPARISON = """\
{{ dict "apiVersion" "v1" "kind" "ConfigMap" "metadata" (dict "name" "documents")
   "data" (dict "documents" (semverCompare .Values.constraint .Values.version | toJson)) | toJson }}
"""


def read(helm: Helm, texts: Sequence[str], names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Each text's mapping; an empty one for an empty text. Raises HubError that names one that is none."""
    found: list[dict[str, Any]] = _rendered(
        helm, _TEMPLATE, {"count": len(texts)}, {f"documents/{n}": text for n, text in enumerate(texts)}
    )
    for number, mapping in enumerate(found):
        # What Helm's fromYaml makes of a text that it cannot read.
        if set(mapping) == {"Error"} and isinstance(mapping["Error"], str):
            name = names[number] if names else "What Helm has printed"
            raise HubError(
                f"{name} is no mapping of YAML: {mapping['Error'].splitlines()[0]}.",
                "Correct the line: `helm lint` and yamllint show it.",
            )
    return found


def satisfies(helm: Helm, version: str, constraint: str) -> bool:
    """Whether a version is one that the constraint of a chart allows, as Helm reads it."""
    return bool(_rendered(helm, _COMPARISON, {"version": version, "constraint": constraint}, {}))


def _rendered(helm: Helm, template: str, values: dict[str, Any], files: dict[str, str]) -> Any:
    """What a chart of one template prints, read again. Its folder is for our eyes only, and removed."""
    with tempfile.TemporaryDirectory(prefix="hubops-documents-") as folder:
        whole = {"Chart.yaml": _CHART, "templates/documents.yaml": template, **files}
        for name, text in whole.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        printed = helm.run(
            *("template", "documents", folder, "--values", "-"), stdin=json.dumps(values).encode()
        )
    line = next(line for line in printed.decode().splitlines() if line.startswith("{"))
    return json.loads(json.loads(line)["data"]["documents"])
