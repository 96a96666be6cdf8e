{{/*
Everything that is wrong with the values and that the schema can't say, at once. What is inside of `config` the program checks:
`sidegate check`. Here is what it would only find in the pod, or what has to fit together with the rest of the chart.
*/}}
{{- define "sidegate.checks" -}}
{{- $problems := concat
  (include "sidegate.checks.config" . | fromJsonArray)
  (include "sidegate.checks.keys" . | fromJsonArray)
  (include "sidegate.checks.secrets" . | fromJsonArray)
  (include "sidegate.checks.memory" . | fromJsonArray)
  (include "sidegate.checks.pods" . | fromJsonArray)
  (include "sidegate.checks.scaling" . | fromJsonArray) }}
{{- if $problems }}
{{- fail (printf "\n\nThe values do not fit together:\n- %s\n" (join "\n- " $problems)) }}
{{- end }}
{{- end }}

{{- define "sidegate.checks.config" -}}
{{- $problems := list }}
{{- $config := .Values.config | default dict }}
{{- range $section, $owned := dict "listen" (list "address") "admin" (list "address" "token") }}
{{- range $owned }}
{{- if hasKey (get $config $section | default dict) . }}
{{- $problems = append $problems (printf "`config.%s.%s` is the chart's: write `%s` instead" $section . (get (dict "listenaddress" "listen.host` and `listen.port`, or `sidecar.socket" "adminaddress" "admin.port` and `admin.expose" "admintoken" "admin.token") (printf "%s%s" $section .))) }}
{{- end }}
{{- end }}
{{- end }}
{{- if hasKey $config "drain" }}
{{- $problems = append $problems "`config.drain` is the chart's: write `drain.delay` and `drain.timeout`, from which `terminationGracePeriodSeconds` follows, too" }}
{{- end }}
{{- if and (eq .Values.mode "gateway") (not $config.clients) }}
{{- $problems = append $problems "other pods can reach a gateway, and nothing says who may call: add `config.clients` (docs/clients.md), such as `{ anonymous: deny, keys: […] }`; `{ anonymous: free }` lets everybody in" }}
{{- end }}
{{- with $config.clients }}
{{- if and (eq (default "deny" .anonymous) "deny") (not (or .keys .jwt .mtls)) }}
{{- $problems = append $problems "nobody may call: `config.clients` has no `keys` (`sidegate key new` makes one), and lets nobody in without; or write `anonymous: free`" }}
{{- end }}
{{- end }}
{{- if and .Values.tls.clientCa (not .Values.tls.existingSecret) }}
{{- $problems = append $problems "`tls.clientCa` needs `tls.existingSecret`, which holds `ca.crt`" }}
{{- end }}
{{- if hasKey (.Values.configFiles | default dict) "proxy.yaml" }}
{{- $problems = append $problems "`configFiles` can't hold `proxy.yaml`: that is made of `config`" }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{- define "sidegate.checks.keys" -}}
{{- $problems := list }}
{{- $config := include "sidegate.config" . | trimSuffix "..." | fromYaml }}
{{- $providers := $config.providers | default dict }}
{{- if not $providers }}
{{- $problems = append $problems "there is no provider: write `keys.openai.existingSecret`, or `config.providers`" }}
{{- else if not $config.routes }}
{{- $problems = append $problems (printf "there is no route, and several providers (%s): write `config.routes`" (keys $providers | sortAlpha | join ", ")) }}
{{- end }}
{{- range $name := include "sidegate.keysOf" . | fromJsonArray }}
{{- $keys := get $.Values.keys $name }}
{{- if not (hasKey $providers $name) }}
{{- $problems = append $problems (printf "`keys.%s`: there is no provider of this name in `config.providers`, and none is well known by it" $name) }}
{{- end }}
{{- if and $keys.existingSecret $keys.values }}
{{- $problems = append $problems (printf "`keys.%s` has both `existingSecret` and `values`: write one" $name) }}
{{- else if not (or $keys.existingSecret $keys.values) }}
{{- $problems = append $problems (printf "`keys.%s` has no key: write `existingSecret`, the name of a Secret each of whose entries is a key, or `values`" $name) }}
{{- end }}
{{- end }}
{{- range $i, $route := $config.routes }}
{{- range $target := $route.targets }}
{{- $name := kindIs "map" $target | ternary (get (kindIs "map" $target | ternary $target dict) "provider") $target }}
{{- $provider := get $providers (toString $name) | default dict }}
{{- if and (hasKey $providers (toString $name)) (not $provider.keys) (ne (default "pool" $route.credentials) "client") }}
{{- $problems = append $problems (printf "the provider `%s` of `config.routes[%d]` has no key: write `keys.%s.existingSecret`, or `credentials: client` on the route to pass the callers' own" $name $i $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.admin.token.existingSecret .Values.admin.token.value }}
{{- $problems = append $problems "`admin.token` has both `existingSecret` and `value`: write one" }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{/* Whether a text holds its secret itself: it is neither sealed nor taken from a variable or a file when the config is loaded. */}}
{{- define "sidegate.isLiteral" -}}
{{- if and (kindIs "string" .) (ne . "") (not (hasPrefix "sealed:" .)) (not (regexMatch "[$][{][^}]*[}]" .)) }}yes{{ end }}
{{- end }}

{{/* What is a secret by docs/config.md must not be in `config`, which is a ConfigMap: whoever may look into the namespace reads it. */}}
{{- define "sidegate.checks.secrets" -}}
{{- $problems := list }}
{{- $config := .Values.config | default dict }}
{{- $why := "holds the secret itself, which would stand in the ConfigMap" }}
{{- $instead := "write `${VAR}` and the variable in `envFrom`, `${file:…}` and the file in `extraVolumes`, or a text that `sidegate key seal` made" }}
{{- range $name, $provider := $config.providers }}
{{- $provider = $provider | default dict }}
{{- range $i, $key := $provider.keys }}
{{- /* By this word a provider that asks for no key is told of. */}}
{{- if and (include "sidegate.isLiteral" $key.value) (ne $key.value "unused") }}
{{- $problems = append $problems (printf "`config.providers.%s.keys[%d].value` %s: write `keys.%s.existingSecret` in its place" $name $i $why $name) }}
{{- end }}
{{- end }}
{{- $proxy := $provider.proxy | default "" }}
{{- if and (contains "@" $proxy) (include "sidegate.isLiteral" $proxy) }}
{{- $problems = append $problems (printf "`config.providers.%s.proxy` %s, a password: %s" $name $why $instead) }}
{{- end }}
{{- end }}
{{- if include "sidegate.isLiteral" ((($config.clients).jwt).secret).value }}
{{- $problems = append $problems (printf "`config.clients.jwt.secret.value` %s: %s" $why $instead) }}
{{- end }}
{{- range $i, $header := (($config.trace).otlp).headers }}
{{- if include "sidegate.isLiteral" $header.value }}
{{- $problems = append $problems (printf "`config.trace.otlp.headers[%d].value` %s: write `${VAR}` and the variable in `envFrom`, or `${file:…}` and the file in `extraVolumes`" $i $why) }}
{{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{/* A cache fills what it may have, and a pod that takes more than its limit is killed with all its streams. */}}
{{- define "sidegate.checks.memory" -}}
{{- $problems := list }}
{{- $config := .Values.config | default dict }}
{{- $cache := kindIs "map" $config.cache | ternary $config.cache dict }}
{{- $caches := kindIs "map" $config.cache }}
{{- range $config.routes }}
{{- $caches = or $caches (kindIs "map" .cache) }}
{{- end }}
{{- $limit := ((.Values.resources).limits).memory | default "" }}
{{- $size := $cache.max_size | default "256MiB" }}
{{- $total := ($config.body).buffer_total | default "64MiB" }}
{{- $known := and (include "sidegate.bytes" $limit) (include "sidegate.bytes" $size) (include "sidegate.bytes" $total) }}
{{- if and $caches $known }}
{{- $needed := add (mul 2 (include "sidegate.bytes" $size | int64)) (include "sidegate.bytes" $total | int64) }}
{{- if gt $needed (include "sidegate.bytes" $limit | int64) }}
{{- $problems = append $problems (printf "`resources.limits.memory` is %v, but the cache (`config.cache.max_size`, %s, and as much again for calls under way) and bodies (`config.body.buffer_total`, %s) may take %d MiB: write a smaller `config.cache.max_size`, or more for `resources.limits.memory`" (kindIs "float64" $limit | ternary (int64 $limit) $limit) $size $total (div (add $needed 1048575) 1048576)) }}
{{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{- define "sidegate.checks.pods" -}}
{{- $problems := list }}
{{- $delay := include "sidegate.seconds" (include "sidegate.drain.delay" .) | int }}
{{- $timeout := include "sidegate.seconds" (include "sidegate.drain.timeout" .) | int }}
{{- $grace := include "sidegate.drain.grace" . | int }}
{{- if le $grace $timeout }}
{{- $problems = append $problems (printf "`drain.grace` is %d s and `drain.timeout` %d s: the kubelet would kill what the drain still waits for; write more than %d, or 0 for half a minute more" $grace $timeout $timeout) }}
{{- end }}
{{- if ge $delay $timeout }}
{{- $problems = append $problems (printf "`drain.delay` is %d s and `drain.timeout` %d s: `delay` is a part of `timeout`, which leaves nothing for streams" $delay $timeout) }}
{{- end }}
{{- if and .Values.drain.preStop (eq .Values.mode "sidecar") }}
{{- $problems = append $problems "`drain.preStop` is not for a sidecar: the hooks of all containers run at once, and the application still needs it; a native sidecar gets SIGTERM after the application has ended" }}
{{- else if and .Values.drain.preStop .Values.admin.expose (not (include "sidegate.hasToken" .)) }}
{{- $problems = append $problems "`drain.preStop` needs `admin.token`: without it nothing can be asked of an admin listener on the pod's address" }}
{{- end }}
{{- range .Values.extraVolumeMounts }}
{{- if or .subPath .subPathExpr }}
{{- $problems = append $problems (printf "`extraVolumeMounts`: `%s` is mounted by `subPath`, and what is mounted so never changes: mount the whole directory" .mountPath) }}
{{- end }}
{{- end }}
{{- if and .Values.monitor.service .Values.monitor.pod }}
{{- $problems = append $problems "`monitor.service` and `monitor.pod` would collect everything twice: choose one" }}
{{- end }}
{{- if and .Values.monitor.service (eq .Values.mode "sidecar") }}
{{- $problems = append $problems "`monitor.service` is not for a sidecar, which has no Service: write `monitor.pod`" }}
{{- end }}
{{- if and (or .Values.monitor.service .Values.monitor.pod) (not .Values.admin.expose) }}
{{- $problems = append $problems "`monitor` can't reach an admin listener on 127.0.0.1: leave `admin.expose` on" }}
{{- end }}
{{- if and .Values.sidecar.socket (ne .Values.mode "sidecar") }}
{{- $problems = append $problems "`sidecar.socket` is for `mode: sidecar`: other pods can't reach a Unix socket" }}
{{- end }}
{{- range list "selector" "type" }}
{{- if hasKey ($.Values.service.extraSpec | default dict) . }}
{{- $problems = append $problems (printf "`service.extraSpec.%s` is the chart's%s" . (eq . "type" | ternary ": write `service.type` instead" ": the Service is for its own pods")) }}
{{- end }}
{{- end }}
{{- $policy := .Values.networkPolicy }}
{{- /* Who comes from outside of the cluster is no pod of the namespace. */}}
{{- $untouched := and (eq (toJson $policy.clients) "[{\"podSelector\":{}}]") (not $policy.extraIngress) }}
{{- if and (eq .Values.mode "gateway") (ne .Values.service.type "ClusterIP") $policy.enabled $untouched }}
{{- $problems = append $problems (printf "`service.type` is %s, but `networkPolicy.clients` lets in the pods of the namespace alone: write there who may reach it, such as `- ipBlock: { cidr: 10.0.0.0/8 }`" .Values.service.type) }}
{{- end }}
{{- if eq (int .Values.listen.port) (int .Values.admin.port) }}
{{- $problems = append $problems "`listen.port` and `admin.port` are the same: never share the admin port with applications" }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{- define "sidegate.checks.scaling" -}}
{{- $problems := list }}
{{- if eq .Values.mode "gateway" }}
{{- $auto := .Values.autoscaling }}
{{- $requests := (.Values.resources).requests | default dict }}
{{- if $auto.enabled }}
{{- if gt (int $auto.min) (int $auto.max) }}
{{- $problems = append $problems (printf "`autoscaling.min` is %d and `autoscaling.max` %d" (int $auto.min) (int $auto.max)) }}
{{- end }}
{{- if not (or $auto.cpu $auto.memory $auto.inFlight.enabled) }}
{{- $problems = append $problems "`autoscaling` has nothing to go by: write `cpu`, `memory` or `inFlight`" }}
{{- end }}
{{- range list "cpu" "memory" }}
{{- if and (get $auto .) (not (hasKey $requests .)) }}
{{- $problems = append $problems (printf "`autoscaling.%s` is a share of `resources.requests.%s`, which is not there" . .) }}
{{- end }}
{{- if and (get $auto .) $.Values.vpa.enabled (ne $.Values.vpa.updateMode "Off") (has . $.Values.vpa.controlledResources) }}
{{- $problems = append $problems (printf "`vpa` and `autoscaling` both go by %s, and would work against each other: take it out of `vpa.controlledResources`, write `autoscaling.%s: 0`, or `vpa.updateMode: \"Off\"`" . .) }}
{{- end }}
{{- end }}
{{- if and $auto.inFlight.enabled (eq $auto.inFlight.source "keda") (not $auto.inFlight.keda.serverAddress) }}
{{- $problems = append $problems "`autoscaling.inFlight.source: keda` needs `autoscaling.inFlight.keda.serverAddress`, where Prometheus is" }}
{{- end }}
{{- end }}
{{- $pdb := .Values.pdb }}
{{- if and $pdb.enabled (ne (toString $pdb.minAvailable) "") (ne (toString $pdb.maxUnavailable) "1") (ne (toString $pdb.maxUnavailable) "") }}
{{- $problems = append $problems "`pdb` has both `minAvailable` and `maxUnavailable`: write one" }}
{{- end }}
{{- if and $pdb.enabled (or (eq (toString $pdb.maxUnavailable) "0") (eq (toString $pdb.maxUnavailable) "0%")) (eq (toString $pdb.minAvailable) "") }}
{{- $problems = append $problems "`pdb.maxUnavailable: 0` would keep every node from being emptied" }}
{{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}
