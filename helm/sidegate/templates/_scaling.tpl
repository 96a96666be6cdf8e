{{- define "sidegate.usesKeda" -}}
{{- $auto := .Values.autoscaling }}
{{- if and (eq .Values.mode "gateway") $auto.enabled $auto.inFlight.enabled (eq $auto.inFlight.source "keda") }}yes{{ end }}
{{- end }}

{{/* Up at once, down one pod after another: each that goes has streams to finish. */}}
{{- define "sidegate.scaling.behavior" -}}
{{- $up := .Values.autoscaling.scaleUp }}{{ $down := .Values.autoscaling.scaleDown -}}
scaleUp:
  stabilizationWindowSeconds: {{ int $up.window }}
  selectPolicy: Max
  policies:
    - { type: Percent, value: {{ int $up.percent }}, periodSeconds: {{ int $up.period }} }
    - { type: Pods, value: {{ int $up.pods }}, periodSeconds: {{ int $up.period }} }
scaleDown:
  stabilizationWindowSeconds: {{ int $down.window }}
  selectPolicy: Min
  policies:
    - { type: Pods, value: {{ int $down.pods }}, periodSeconds: {{ int $down.period }} }
{{- end }}
