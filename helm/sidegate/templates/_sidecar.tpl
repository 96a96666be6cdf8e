{{/*
For the pods of other charts, which have this one as a dependency with `mode: sidecar`:

  spec:
    template:
      metadata:
        labels:
          {{- include "sidegate.sidecar.labels" .Subcharts.sidegate | nindent 10 }}
        annotations:
          {{- include "sidegate.sidecar.annotations" .Subcharts.sidegate | nindent 10 }}
      spec:
        initContainers:
          {{- include "sidegate.sidecar.container" .Subcharts.sidegate | nindent 10 }}
        containers:
          - name: application
            env:
              - { name: OPENAI_BASE_URL, value: "http://127.0.0.1:8080/v1" }
        volumes:
          {{- include "sidegate.sidecar.volumes" .Subcharts.sidegate | nindent 10 }}

An init container with `restartPolicy: Always` starts before the application, which waits for its startup probe, and gets its SIGTERM
after all ordinary containers have ended. So there is no preStop hook: it would run while the application still needs the proxy.
*/}}
{{- define "sidegate.sidecar.container" -}}
{{- if ne .Values.mode "sidecar" }}
{{- fail "`sidegate.sidecar.container` needs `mode: sidecar` in the values of sidegate" }}
{{- end }}
{{- include "sidegate.checks" . -}}
- name: sidegate
  restartPolicy: Always
  {{- include "sidegate.container" (list . "sidegate" "sidegate-admin") | nindent 2 }}
{{- end }}

{{/* The volumes that the container mounts. */}}
{{- define "sidegate.sidecar.volumes" -}}
{{- include "sidegate.volumes" . }}
{{- end }}

{{/* What the application's container mounts: the directory of the socket, where there is one. */}}
{{- define "sidegate.sidecar.volumeMounts" -}}
{{- if .Values.sidecar.socket -}}
- { name: sidegate-socket, mountPath: {{ dir .Values.sidecar.socket }} }
{{- end }}
{{- end }}

{{/* By these the PodMonitor finds the pods. */}}
{{- define "sidegate.sidecar.labels" -}}
sidegate/sidecar: {{ include "sidegate.fullname" . }}
{{- end }}

{{/* By these the pods are replaced where the config changes in what a running process can't follow. */}}
{{- define "sidegate.sidecar.annotations" -}}
{{- include "sidegate.podAnnotations" . }}
{{- end }}
