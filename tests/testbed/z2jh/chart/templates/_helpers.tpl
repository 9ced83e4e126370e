{{- /* The labels by which objects of a part are found. Call with (list . "hub"). */}}
{{- define "part.match" -}}
{{- $root := index . 0 -}}
app: {{ $root.Chart.Name }}
release: {{ $root.Release.Name }}
component: {{ index . 1 }}
{{- end }}

{{- /* The labels of all objects of a part; from 4.0 on also those that Helm recommends. */}}
{{- define "part.labels" -}}
{{- $root := index . 0 -}}
{{ include "part.match" . }}
chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version | replace "+" "_" }}
heritage: {{ $root.Release.Service }}
{{- if semverCompare ">=4.0.0-0" $root.Chart.Version }}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version | replace "+" "_" }}
{{- end }}
{{- end }}

{{- /*
A secret that is given, or was made by an earlier revision, or is new: (list . "key of the Secret" "given").
*/}}
{{- define "kept.secret" -}}
{{- $root := index . 0 -}}
{{- $earlier := lookup "v1" "Secret" $root.Release.Namespace "hub" -}}
{{- if index . 2 -}}
{{ index . 2 }}
{{- else if and $earlier (hasKey $earlier.data (index . 1)) -}}
{{ index $earlier.data (index . 1) | b64dec }}
{{- else -}}
{{ randAlphaNum 64 | sha256sum }}
{{- end -}}
{{- end }}
