{{/* What the values may not take from the chart: names, paths, labels and ports that it uses itself. */}}

{{- define "roomwatch.validateOwn" -}}
{{- $name := include "roomwatch.name" . -}}
{{- if has $name (list "roomnotify" "roomaudit") -}}
{{- fail (printf "nameOverride is %s, as a part of the chart is called: the selectors of roomwatch and of %s would find each other's pods; choose another name" $name $name) -}}
{{- end -}}
{{- range $part := list "roomnotify" "roomaudit" -}}
{{- if eq (include "part.fullname" (dict "root" $ "name" $part)) (include "roomwatch.fullname" $) -}}
{{- fail (printf "fullnameOverride: roomwatch and %s would both be called %s, since names are cut; choose a shorter one" $part (include "roomwatch.fullname" $)) -}}
{{- end -}}
{{- end -}}
{{- include "roomwatch.validateEntries" . -}}
{{- $nats := include "roomwatch.variable" (dict "env" .Values.env "extraEnv" .Values.extraEnv "name" "ROOMWATCH_NATS_PORT") | trimPrefix "=" | default "4222" -}}
{{- if not .Values.nats.url -}}
{{- if eq $nats (toString .Values.http.port) -}}
{{- fail (printf "http.port is %s, where the embedded server of NATS listens: choose another port, or set nats.url or env.ROOMWATCH_NATS_PORT" $nats) -}}
{{- end -}}
{{- if and .Values.webhook.enabled (eq $nats (toString .Values.webhook.port)) -}}
{{- fail (printf "webhook.port is %s, where the embedded server of NATS listens: choose another port, or set nats.url or env.ROOMWATCH_NATS_PORT" $nats) -}}
{{- end -}}
{{- end -}}
{{- include "roomwatch.validatePod" (dict "values" .Values "prefix" "" "volumes" (list "data" "secret" "nats") "data" "/data") -}}
{{- range $what := list "serviceMonitor" "prometheusRule" "dashboard" -}}
{{- include "roomwatch.validateLabels" (dict "name" (printf "%s.labels" $what) "labels" (get $.Values $what).labels) -}}
{{- end -}}
{{- if and (not .Values.secret.existingSecret) (hasKey .Values.podAnnotations "checksum/secret") -}}
{{- fail "podAnnotations: the chart sets checksum/secret, so that a new secret restarts the pod; leave it out" -}}
{{- end -}}
{{- end -}}

{{/* Two values under one entry: one of them would be used as what it is not. */}}
{{- define "roomwatch.validateEntries" -}}
{{- $seen := dict -}}
{{- range $which := list "secretKeyName" "httpTokenName" "webhookTokenName" -}}
{{- $entry := get $.Values.secret $which -}}
{{- if hasKey $seen $entry -}}
{{- fail (printf "secret.%s and secret.%s are both %s: each value needs an entry of its own; rename one" (get $seen $entry) $which $entry) -}}
{{- end -}}
{{- $_ := set $seen $entry $which -}}
{{- end -}}
{{- end -}}

{{/* The argument is a dict: name, that of the labels in the values, and labels. */}}
{{- define "roomwatch.validateLabels" -}}
{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "app.kubernetes.io/part-of" "helm.sh/chart" -}}
{{- if hasKey $.labels $label -}}
{{- fail (printf "%s: the chart sets %s, and finds its objects by it; choose another label" $.name $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The argument is a dict: values, those of a program; prefix, what stands before their names; volumes, those of the chart; data, where the first of them is. */}}
{{- define "roomwatch.validatePod" -}}
{{- include "roomwatch.validateLabels" (dict "name" (printf "%spodLabels" .prefix) "labels" .values.podLabels) -}}
{{- $volumes := dict -}}
{{- range .values.extraVolumes -}}
{{- if has .name $.volumes -}}
{{- fail (printf "%sextraVolumes: %s is a volume of the chart; choose another name" $.prefix .name) -}}
{{- end -}}
{{- if hasKey $volumes .name -}}
{{- fail (printf "%sextraVolumes: %s is there twice; leave one out, or rename it" $.prefix .name) -}}
{{- end -}}
{{- $_ := set $volumes .name true -}}
{{- end -}}
{{- $paths := dict .data "data" "/etc/roomwatch" "secret" "/etc/roomwatch-nats" "nats" -}}
{{- range .values.extraVolumeMounts -}}
{{- $path := clean .mountPath -}}
{{- if hasKey $paths $path -}}
{{- fail (printf "%sextraVolumeMounts: something is mounted at %s already; choose another path" $.prefix $path) -}}
{{- end -}}
{{- if or (eq $path "/") (not (hasPrefix "/" $path)) -}}
{{- fail (printf "%sextraVolumeMounts: %s: the path has to be absolute, and below /, where the programs are" $.prefix .mountPath) -}}
{{- end -}}
{{- range $own := list "/etc/roomwatch" "/etc/roomwatch-nats" "/etc/roomnotify" -}}
{{- if and (hasKey $paths $own) (hasPrefix (printf "%s/" $own) $path) -}}
{{- fail (printf "%sextraVolumeMounts: %s is below %s, which is read-only, so that nothing can be mounted there; choose another path" $.prefix $path $own) -}}
{{- end -}}
{{- end -}}
{{- if not (or (hasKey $volumes .name) (has .name $.volumes)) -}}
{{- fail (printf "%sextraVolumeMounts: there is no volume %s; add it to %sextraVolumes" $.prefix .name $.prefix) -}}
{{- end -}}
{{- $_ := set $paths $path .name -}}
{{- end -}}
{{- end -}}
