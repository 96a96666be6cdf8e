{{/* The proxy's container, without its name: (list ROOT PORT-NAME ADMIN-PORT-NAME). */}}
{{- define "sidegate.container" -}}
{{- $root := index . 0 }}{{ $port := index . 1 }}{{ $adminPort := index . 2 }}
{{- $values := $root.Values -}}
image: {{ include "sidegate.image" $root | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
args: [--config, /etc/sidegate/proxy.yaml]
{{- with $values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  {{- if not (and (eq $values.mode "sidecar") $values.sidecar.socket) }}
  - { name: {{ $port }}, containerPort: {{ int $values.listen.port }}, protocol: TCP }
  {{- end }}
  - { name: {{ $adminPort }}, containerPort: {{ int $values.admin.port }}, protocol: TCP }
startupProbe:
  {{- include "sidegate.probe" (list $values "live" $adminPort $values.probes.startup) | nindent 2 }}
readinessProbe:
  {{- include "sidegate.probe" (list $values "ready" $adminPort $values.probes.readiness) | nindent 2 }}
livenessProbe:
  {{- include "sidegate.probe" (list $values "live" $adminPort $values.probes.liveness) | nindent 2 }}
{{- if $values.drain.preStop }}
lifecycle:
  preStop:
    exec:
      command: [/sidegate, drain, --config, /etc/sidegate/proxy.yaml]
{{- end }}
{{- with $values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "sidegate.securityContext" $root | nindent 2 }}
volumeMounts:
  {{- include "sidegate.volumeMounts" $root | nindent 2 }}
{{- end }}

{{/*
Over the pod's address the kubelet asks itself; an admin listener on 127.0.0.1 is asked from inside: by its address, since the config
may be a broken one that the process has refused.
*/}}
{{- define "sidegate.probe" -}}
{{- $values := index . 0 }}{{ $question := index . 1 }}{{ $adminPort := index . 2 }}{{ $timing := index . 3 -}}
{{- if $values.admin.expose -}}
httpGet:
  path: /{{ printf "%sz" $question }}
  port: {{ $adminPort }}
{{- else -}}
exec:
  command: [/sidegate, health, --{{ $question }}, --address, "127.0.0.1:{{ int $values.admin.port }}"]
{{- end }}
{{ toYaml $timing }}
{{- end }}

{{- define "sidegate.securityContext" -}}
{{- $context := deepCopy (.Values.securityContext | default dict) }}
{{- if and (eq .Values.mode "sidecar") .Values.sidecar.runAsUser }}
{{- $_ := set $context "runAsUser" (int64 .Values.sidecar.runAsUser) }}
{{- end }}
{{- toYaml $context }}
{{- end }}

{{/* Whole directories: what is mounted by `subPath` is never updated. */}}
{{- define "sidegate.volumeMounts" -}}
- { name: sidegate-config, mountPath: /etc/sidegate, readOnly: true }
{{- range $name := include "sidegate.keysOf" . | fromJsonArray }}
- { name: sidegate-{{ include "sidegate.keysVolume" $name }}, mountPath: {{ include "sidegate.keysPath" $name }}, readOnly: true }
{{- end }}
{{- if include "sidegate.hasToken" . }}
- { name: sidegate-admin, mountPath: /var/run/secrets/sidegate-admin, readOnly: true }
{{- end }}
{{- if .Values.tls.existingSecret }}
- { name: sidegate-tls, mountPath: /etc/sidegate-tls, readOnly: true }
{{- end }}
{{- if and (eq .Values.mode "sidecar") .Values.sidecar.socket }}
- { name: sidegate-socket, mountPath: {{ dir .Values.sidecar.socket }} }
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
In a pod of its own the group may read Secrets, and `fsGroup` gives them to it. The pod of a sidecar is another chart's: there they are
mounted readable, into this one container.
*/}}
{{- define "sidegate.volumes" -}}
{{- $mode := ternary "0444" "0440" (eq .Values.mode "sidecar") -}}
- name: sidegate-config
  configMap: { name: {{ include "sidegate.configMapName" . }}, defaultMode: 0444 }
{{- range $name := include "sidegate.keysOf" . | fromJsonArray }}
- name: sidegate-{{ include "sidegate.keysVolume" $name }}
  secret: { secretName: {{ include "sidegate.keysSecretName" (list $ $name) }}, defaultMode: {{ $mode }} }
{{- end }}
{{- if include "sidegate.hasToken" . }}
- name: sidegate-admin
  secret: { secretName: {{ include "sidegate.adminSecretName" . }}, defaultMode: {{ $mode }} }
{{- end }}
{{- if .Values.tls.existingSecret }}
- name: sidegate-tls
  secret: { secretName: {{ .Values.tls.existingSecret }}, defaultMode: {{ $mode }} }
{{- end }}
{{- if and (eq .Values.mode "sidecar") .Values.sidecar.socket }}
- name: sidegate-socket
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
