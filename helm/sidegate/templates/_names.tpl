{{- define "sidegate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 45 characters, so that what is put behind it stays within the 63 of a DNS label. */}}
{{- define "sidegate.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 45 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "sidegate.selector" -}}
app.kubernetes.io/name: {{ include "sidegate.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/*
Maps as one, in YAML: (list MAP …). What stands in several counts as the first has it, so that the chart's own, by which things are
found, are put first; two lines of one name would be refused by the API server or by whoever reads them next.
*/}}
{{- define "sidegate.together" -}}
{{- $made := dict }}
{{- range . }}
{{- range $name, $value := . | default dict }}
{{- if not (hasKey $made $name) }}
{{- $_ := set $made $name $value }}
{{- end }}
{{- end }}
{{- end }}
{{- with $made }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* The labels of what the chart makes, with more of one object: (list ROOT MAP …). */}}
{{- define "sidegate.labelsWith" -}}
{{- $root := first . }}
{{- $own := include "sidegate.selector" $root | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/version" $root.Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" $root.Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- include "sidegate.together" (concat (list $own) (rest .) (list $root.Values.commonLabels)) }}
{{- end }}

{{- define "sidegate.labels" -}}
{{- include "sidegate.labelsWith" (list .) }}
{{- end }}

{{/* Name, namespace and labels of an object, with more labels: (list ROOT MAP …). */}}
{{- define "sidegate.metadataWith" -}}
name: {{ include "sidegate.fullname" (first .) }}
namespace: {{ (first .).Release.Namespace }}
labels:
  {{- include "sidegate.labelsWith" . | nindent 2 }}
{{- end }}

{{- define "sidegate.metadata" -}}
{{- include "sidegate.metadataWith" (list .) }}
{{- end }}

{{- define "sidegate.serviceAccount" -}}
{{- default (ternary (include "sidegate.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "sidegate.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end }}
{{- end }}

{{- define "sidegate.configMapName" -}}
{{ include "sidegate.fullname" . }}-config
{{- end }}

{{/* The providers that `keys` names, as a list in JSON. One that a later file of values has set to null is none. */}}
{{- define "sidegate.keysOf" -}}
{{- $names := list }}
{{- range $name, $keys := .Values.keys }}
{{- if kindIs "map" $keys }}
{{- $names = append $names $name }}
{{- end }}
{{- end }}
{{- toJson $names }}
{{- end }}

{{/* The Secret with the keys of a provider: (list ROOT PROVIDER). */}}
{{- define "sidegate.keysSecretName" -}}
{{- $root := index . 0 }}{{ $provider := index . 1 }}
{{- $keys := index $root.Values.keys $provider }}
{{- default (printf "%s-%s" (include "sidegate.fullname" $root) (include "sidegate.keysVolume" $provider)) $keys.existingSecret }}
{{- end }}

{{/* A provider's name may hold what no DNS label may: such names are told apart by a hash. */}}
{{- define "sidegate.keysVolume" -}}
{{- if and (regexMatch "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" .) (le (len .) 11) -}}
keys-{{ . }}
{{- else -}}
keys-{{ sha256sum . | trunc 10 }}
{{- end }}
{{- end }}

{{- define "sidegate.adminSecretName" -}}
{{- default (printf "%s-admin" (include "sidegate.fullname" .)) .Values.admin.token.existingSecret }}
{{- end }}

{{- define "sidegate.hasToken" -}}
{{- if or .Values.admin.token.existingSecret .Values.admin.token.value }}yes{{ end }}
{{- end }}
