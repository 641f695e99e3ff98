{{- define "roomwatch.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* 52 characters: a pod of a StatefulSet has its revision in a label of 63. */}}
{{- define "roomwatch.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "roomwatch.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "roomwatch.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "roomwatch.selector" -}}
app.kubernetes.io/name: {{ include "roomwatch.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "roomwatch.labels" -}}
{{ include "roomwatch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "roomwatch.secret" -}}
{{- .Values.secret.existingSecret | default (include "roomwatch.fullname" .) -}}
{{- end -}}

{{- define "roomwatch.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "roomwatch.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "roomwatch.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* A value as the text of a variable. Helm reads every number of a file as a float: 1000000 would become 1e+06. */}}
{{- define "roomwatch.text" -}}
{{- if kindIs "string" . }}{{ . | quote }}{{ else }}{{ toJson . | quote }}{{ end -}}
{{- end -}}

{{/* What is wrong with the values taken together; the schema sees each alone. */}}
{{- define "roomwatch.validate" -}}
{{- if and (not .Values.secret.existingSecret) (not .Values.secret.secretKey) -}}
{{- fail "set secret.existingSecret to a secret with the application's key, or secret.secretKey to the key" -}}
{{- end -}}
{{- if and (not .Values.secret.existingSecret) (not .Values.secret.httpToken) (not .Values.http.open) -}}
{{- fail "set secret.httpToken to a bearer token for the HTTP listener, or http.open=true to let everybody in who reaches the pod" -}}
{{- end -}}
{{- if and (not .Values.nats.existingSecret) (or .Values.nats.credsName .Values.nats.passwordName .Values.nats.tokenName .Values.nats.caName .Values.nats.certName .Values.nats.keyName) -}}
{{- fail "nats names entries of a secret: set nats.existingSecret to the secret that has them" -}}
{{- end -}}
{{- range $name := list "ROOMWATCH_SDKAPPID" "ROOMWATCH_SECRET_KEY" "ROOMWATCH_USERSIG" "ROOMWATCH_DATA_DIR" "ROOMWATCH_HTTP_ADDR" "ROOMWATCH_HTTP_TOKEN" "NATS_PASSWORD" "NATS_TOKEN" -}}
{{- if hasKey $.Values.env $name -}}
{{- fail (printf "env.%s: the chart sets it, or it is a secret; use the value that is there for it" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
