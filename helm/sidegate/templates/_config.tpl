{{/* The seconds of a duration of the config, such as `300ms`, `5s` or `2m`, rounded up. */}}
{{- define "sidegate.seconds" -}}
{{- if not (regexMatch "^[0-9]+ ?(ms|s|m|h|d)$" .) }}
{{- fail (printf "`%s` is no duration: write a whole number and ms, s, m, h or d, such as 5m" .) }}
{{- end }}
{{- $number := regexFind "^[0-9]+" . | int64 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- if eq $unit "ms" }}
{{- div (add $number 999) 1000 }}
{{- else }}
{{- mul $number (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) $unit) }}
{{- end }}
{{- end }}

{{/*
The bytes of a size as Kubernetes writes it (`512Mi`, `1.5G`, `1e9`) or as the config does (`512MiB`, `2 GB`), rounded down. Nothing
where it is neither, such as a text with `${…}`, which is known only in the pod.
*/}}
{{- define "sidegate.bytes" -}}
{{- $text := kindIs "string" . | ternary . (toString (kindIs "float64" . | ternary (int64 .) .)) }}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?([eE][0-9]+)?" $text }}
{{- $unit := trimPrefix $number $text | trim | trimSuffix "B" }}
{{- $units := dict "" 1 "m" 0.001 "k" 1e3 "K" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 }}
{{- if and $number (hasKey $units $unit) }}
{{- mulf $number (get $units $unit) | floor | int64 }}
{{- end }}
{{- end }}

{{- define "sidegate.drain.delay" -}}
{{- default (ternary "0s" "10s" (eq .Values.mode "sidecar")) .Values.drain.delay }}
{{- end }}

{{- define "sidegate.drain.timeout" -}}
{{- default (ternary "20s" "5m" (eq .Values.mode "sidecar")) .Values.drain.timeout }}
{{- end }}

{{/* `terminationGracePeriodSeconds`: half a minute more than the drain, for the kubelet's own delays. */}}
{{- define "sidegate.drain.grace" -}}
{{- $drain := include "sidegate.seconds" (include "sidegate.drain.timeout" .) | int }}
{{- default (add $drain 30) (int .Values.drain.grace) }}
{{- end }}

{{- define "sidegate.listen.address" -}}
{{- if ne .Values.mode "sidecar" -}}
{{ .Values.listen.host }}:{{ int .Values.listen.port }}
{{- else if .Values.sidecar.socket -}}
unix:{{ .Values.sidecar.socket }}
{{- else -}}
127.0.0.1:{{ int .Values.listen.port }}
{{- end }}
{{- end }}

{{- define "sidegate.admin.address" -}}
{{ ternary .Values.listen.host "127.0.0.1" .Values.admin.expose }}:{{ int .Values.admin.port }}
{{- end }}

{{/* Dialects that have one well-known host, and speak below /v1: a provider of that name needs no more than keys. */}}
{{- define "sidegate.wellKnown" -}}
openai anthropic groq deepseek mistral openrouter
{{- end }}

{{/* All dialects. A provider of such a name speaks it unless it says otherwise: by its default it would take the key to OpenAI. */}}
{{- define "sidegate.dialects" -}}
{{ include "sidegate.wellKnown" . }} gemini azure vllm
{{- end }}

{{/* Where the keys of a provider are mounted. */}}
{{- define "sidegate.keysPath" -}}
/var/run/secrets/sidegate/{{ . }}
{{- end }}

{{/* `proxy.yaml` as the pods get it: the operator's own, and what the chart owns. */}}
{{- define "sidegate.config" -}}
{{- $config := deepCopy (.Values.config | default dict) }}
{{- $listen := merge (dict "address" (include "sidegate.listen.address" .)) ($config.listen | default dict) }}
{{- if .Values.tls.existingSecret }}
{{- $tls := merge ($listen.tls | default dict) (dict "certificate" "/etc/sidegate-tls/tls.crt" "key" "/etc/sidegate-tls/tls.key") }}
{{- if .Values.tls.clientCa }}
{{- $tls = merge $tls (dict "client_ca" "/etc/sidegate-tls/ca.crt") }}
{{- end }}
{{- $_ := set $listen "tls" $tls }}
{{- end }}
{{- $_ := set $config "listen" $listen }}
{{- $admin := merge (dict "address" (include "sidegate.admin.address" .)) ($config.admin | default dict) }}
{{- if include "sidegate.hasToken" . }}
{{- $_ := set $admin "token" (printf "${file:/var/run/secrets/sidegate-admin/%s}" .Values.admin.token.key) }}
{{- end }}
{{- $_ := set $config "admin" $admin }}
{{- $_ := set $config "drain" (dict "delay" (include "sidegate.drain.delay" .) "timeout" (include "sidegate.drain.timeout" .)) }}
{{- $providers := $config.providers | default dict }}
{{- range $name := include "sidegate.keysOf" . | fromJsonArray }}
{{- $known := splitList " " (include "sidegate.wellKnown" $) | has $name }}
{{- if and (not (hasKey $providers $name)) $known }}
{{- $_ := set $providers $name dict }}
{{- end }}
{{- if hasKey $providers $name }}
{{- $provider := get $providers $name | default dict }}
{{- if and (splitList " " (include "sidegate.dialects" $) | has $name) (not (or $provider.dialect $provider.base_url)) }}
{{- $_ := set $provider "dialect" $name }}
{{- end }}
{{- if not (hasKey $provider "keys") }}
{{- $_ := set $provider "keys" (list (dict "dir" (include "sidegate.keysPath" $name))) }}
{{- end }}
{{- $_ := set $providers $name $provider }}
{{- end }}
{{- end }}
{{- $_ := set $config "providers" $providers }}
{{- if and (not $config.routes) (eq (len $providers) 1) }}
{{- $_ := set $config "routes" (list (dict "path" "/v1" "targets" (keys $providers))) }}
{{- end }}
{{- /* A file that says where it ends says so in its first field and its last line. */}}
{{- if $config.require_end -}}
require_end: true
{{ toYaml (omit $config "require_end") }}
...
{{- else -}}
{{ toYaml $config }}
{{- end }}
{{- end }}

{{/* A hash of what a running process can't follow (docs/reload.md): where it changes, the pods are replaced. */}}
{{- define "sidegate.config.restart" -}}
{{- $config := include "sidegate.config" . | trimSuffix "..." | fromYaml }}
{{- $listen := pick ($config.listen | default dict) "address" "connections" "tls" "workers" }}
{{- $parts := list (get $config.admin "address") ($config.dns | default dict) $listen (get ($config.log | default dict) "format") }}
{{- toJson $parts | sha256sum | trunc 16 }}
{{- end }}

{{/* Annotations of pods by which the Deployment's controller sees what needs new ones. */}}
{{- define "sidegate.podAnnotations" -}}
sidegate/restart-fields: {{ include "sidegate.config.restart" . | quote }}
{{- if .Values.restartOnConfigChange }}
sidegate/config: {{ printf "%s%s" (include "sidegate.config" .) (toJson .Values.configFiles) | sha256sum | trunc 16 | quote }}
{{- end }}
{{- end }}
