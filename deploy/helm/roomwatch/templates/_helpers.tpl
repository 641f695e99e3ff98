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

{{/* What a variable is set to in env or extraEnv, after "=", which stands alone if only a valueFrom knows; nothing if it is set in neither. The argument is a dict: env, extraEnv, name. */}}
{{- define "roomwatch.variable" -}}
{{- if hasKey .env .name -}}
={{ get .env .name }}
{{- end -}}
{{- range .extraEnv -}}
{{- if eq .name $.name -}}
={{ .value | default "" }}
{{- end -}}
{{- end -}}
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
{{- if not .Values.image.repository -}}
{{- fail "set image.repository to the image that you have built and pushed: there is no public one; deploy/README.md (Image) has the commands" -}}
{{- end -}}
{{- if contains "@" .Values.nats.url -}}
{{- fail "nats.url has credentials, which whoever may read the StatefulSet would see: put them into a secret, and set nats.existingSecret and nats.passwordName or nats.tokenName" -}}
{{- end -}}
{{- if and .Values.persistence.existingClaim (not .Values.persistence.enabled) -}}
{{- fail "persistence.existingClaim is set and persistence.enabled is false: set it to true, or leave the claim out" -}}
{{- end -}}
{{- $set := dict "env" .Values.env "extraEnv" .Values.extraEnv -}}
{{- $lease := include "roomwatch.variable" (merge (dict "name" "ROOMWATCH_LEASE") $set) -}}
{{- $noLease := regexMatch "^=(0+[a-zµ]*)+$" $lease -}}
{{- $emptyLease := and (hasKey .Values.env "ROOMWATCH_LEASE") (eq $lease "=") -}}
{{- if and (ne $lease "") (ne $lease "=") (not $noLease) (not .Values.nats.url) -}}
{{- fail "ROOMWATCH_LEASE is set and nats.url is empty: the embedded server serves one roomwatch alone; set nats.url, or leave the variable out" -}}
{{- end -}}
{{- if and (not .Values.nats.url) (not (has (include "roomwatch.variable" (merge (dict "name" "ROOMWATCH_STREAM_REPLICAS") $set)) (list "" "=" "=1"))) -}}
{{- fail "ROOMWATCH_STREAM_REPLICAS is set and nats.url is empty: the embedded server is alone; set nats.url to a cluster, or leave the variable out" -}}
{{- end -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- if not .Values.nats.url -}}
{{- fail "replicas is 2 and nats.url is empty: two pods need one NATS between them, and the embedded server serves one alone; set nats.url, or replicas to 1" -}}
{{- end -}}
{{- if .Values.persistence.existingClaim -}}
{{- fail "replicas is 2 and persistence.existingClaim is one volume: each pod has a state of its own; leave the claim out, or set replicas to 1" -}}
{{- end -}}
{{- if $emptyLease -}}
{{- fail "replicas is 2 and env.ROOMWATCH_LEASE is empty, which asks for no lease: without permission for it the two would drive each other out; leave it out, or set replicas to 1" -}}
{{- end -}}
{{- if $noLease -}}
{{- fail "replicas is 2 and ROOMWATCH_LEASE is 0: without the lease the two drive each other out; leave it out, or set replicas to 1" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.nats.domain (not .Values.nats.url) -}}
{{- fail "nats.domain is set and nats.url is empty: the embedded server has no domain; set both or neither" -}}
{{- end -}}
{{- $sockets := dict -}}
{{- range $server := splitList "," .Values.nats.url -}}
{{- if trim $server -}}
{{- $_ := set $sockets (regexMatch "^wss?://" (trim $server) | toString) true -}}
{{- end -}}
{{- end -}}
{{- if gt (len $sockets) 1 -}}
{{- fail "nats.url: some servers are asked over WebSocket and some are not; write ws:// or wss:// before all of them, or before none" -}}
{{- end -}}
{{- include "roomwatch.validateLogin" (dict "nats" .Values.nats "name" "nats") -}}
{{- include "roomwatch.validateWebhook" . -}}
{{- include "roomwatch.validateEnv" . -}}
{{- include "roomwatch.validateOwn" . -}}
{{- end -}}

{{/* With what the programs refuse, the pod would start again and again. The argument is a dict: nats, and name, that of nats in the values. */}}
{{- define "roomwatch.validateLogin" -}}
{{- with .nats -}}
{{- if and .tokenName .user -}}
{{- fail (printf "%s.tokenName and %s.user are both set: NATS takes a token alone, or a user and a password; set %s.user to \"\", or leave the token out" $.name $.name $.name) -}}
{{- end -}}
{{- if and .passwordName (not .user) -}}
{{- fail (printf "%s.passwordName is set and %s.user is empty: set both" $.name $.name) -}}
{{- end -}}
{{- if ne (empty .certName) (empty .keyName) -}}
{{- fail (printf "of %s.certName and %s.keyName one is empty: a certificate needs its key; set both or neither" $.name $.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Callbacks come from strangers: they need a token, and a port that leads to nothing else. */}}
{{- define "roomwatch.validateWebhook" -}}
{{- if .Values.webhook.enabled -}}
{{- if and (not .Values.secret.existingSecret) (not .Values.secret.webhookToken) -}}
{{- fail "webhook.enabled is true and there is no token: set secret.webhookToken to the one of the vendor's console, or secret.existingSecret to a secret that has it" -}}
{{- end -}}
{{- if eq (int .Values.webhook.port) (int .Values.http.port) -}}
{{- fail (printf "webhook.port and http.port are both %d: strangers reach the first; set another port" (int .Values.http.port)) -}}
{{- end -}}
{{- if and .Values.ingress.enabled .Values.http.open -}}
{{- fail "webhook.enabled, ingress.enabled and http.open are true: who can call back could read the status page, too; set http.open=false, or lead the callbacks here by an ingress of your own" -}}
{{- end -}}
{{- if regexMatch "^=0+(\\.0*)?$" (include "roomwatch.variable" (dict "env" .Values.env "extraEnv" .Values.extraEnv "name" "ROOMWATCH_POINT_READS_PER_SECOND")) -}}
{{- fail "webhook.enabled is true and ROOMWATCH_POINT_READS_PER_SECOND is 0: a callback only says which room to read; leave it out, or set webhook.enabled=false" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes takes the last of two variables of one name, so one of them would be set in vain. */}}
{{- define "roomwatch.validateEnv" -}}
{{- $own := dict "ROOMWATCH_SDKAPPID" "sdkAppID" "ROOMWATCH_IDENTIFIER" "identifier" "ROOMWATCH_ENDPOINT" "endpoint" "ROOMWATCH_DATA_DIR" "persistence"
  "ROOMWATCH_SECRET_KEY" "secret" "ROOMWATCH_SECRET_KEY_FILE" "secret" "ROOMWATCH_USERSIG" "secret" "ROOMWATCH_USERSIG_FILE" "secret"
  "ROOMWATCH_HTTP_ADDR" "http.port" "ROOMWATCH_HTTP_OPEN" "http.open" "ROOMWATCH_HTTP_TOKEN" "secret" "ROOMWATCH_HTTP_TOKEN_FILE" "secret"
  "ROOMWATCH_WEBHOOK_ADDR" "webhook.enabled" "ROOMWATCH_WEBHOOK_TOKEN" "secret.webhookTokenName" "ROOMWATCH_WEBHOOK_TOKEN_FILE" "secret.webhookTokenName"
  "NATS_URL" "nats.url" "NATS_JS_DOMAIN" "nats.domain" "NATS_USER" "nats.user" "NATS_CREDS" "nats.credsName" "NATS_PASSWORD" "nats.passwordName" "NATS_PASSWORD_FILE" "nats.passwordName"
  "NATS_TOKEN" "nats.tokenName" "NATS_TOKEN_FILE" "nats.tokenName" "NATS_CA" "nats.caName" "NATS_CERT" "nats.certName" "NATS_KEY" "nats.keyName" -}}
{{- range $name, $value := .Values.env -}}
{{- if hasKey $own $name -}}
{{- fail (printf "env.%s: the chart sets it, or it is a secret; use %s" $name (get $own $name)) -}}
{{- end -}}
{{- end -}}
{{- $seen := dict -}}
{{- range .Values.extraEnv -}}
{{- if hasKey $own .name -}}
{{- fail (printf "extraEnv: the chart sets %s; use %s" .name (get $own .name)) -}}
{{- end -}}
{{- if or (hasKey $.Values.env .name) (hasKey $seen .name) -}}
{{- fail (printf "extraEnv: %s is set twice; leave one out" .name) -}}
{{- end -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- end -}}

{{/* The port of a URL: without one, the usual port of its scheme, and without a scheme that of NATS. */}}
{{- define "roomwatch.port" -}}
{{- $url := urlParse (ternary . (printf "nats://%s" .) (contains "://" .)) -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (get (dict "http" "80" "https" "443" "ws" "80" "wss" "443" "smtp" "587" "smtps" "465") $url.scheme) | default "4222" -}}
{{- end -}}

{{/* The variables of who logs in to NATS. The argument is a dict: nats, and mount, where the entries of its secret are files. */}}
{{- define "roomwatch.natsLogin" -}}
{{- with .nats.user }}
- name: NATS_USER
  value: {{ . | quote }}
{{- end }}
{{- range $variable, $entry := dict "NATS_PASSWORD" .nats.passwordName "NATS_TOKEN" .nats.tokenName }}
{{- if $entry }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef: {name: {{ $.nats.existingSecret | quote }}, key: {{ $entry | quote }}}
{{- end }}
{{- end }}
{{- range $variable, $entry := dict "NATS_CREDS" .nats.credsName "NATS_CA" .nats.caName "NATS_CERT" .nats.certName "NATS_KEY" .nats.keyName }}
{{- if $entry }}
- name: {{ $variable }}
  value: {{ printf "%s/%s" $.mount $entry | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Who may come in, and where everybody may go. */}}
{{- define "roomwatch.from" -}}
{{- if .Values.networkPolicy.from -}}
{{- toYaml .Values.networkPolicy.from }}
{{- else if or .Values.serviceMonitor.enabled .Values.ingress.enabled -}}
- namespaceSelector: {} # Prometheus and the ingress have a namespace of their own
{{- else -}}
- podSelector: {}
{{- end }}
- podSelector: # helm test
    matchLabels: {{- include "roomwatch.testLabels" . | nindent 6 }}
{{- end -}}

{{- define "roomwatch.testLabels" -}}
app.kubernetes.io/name: {{ include "roomwatch.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "roomwatch.egressDNS" -}}
- ports: # DNS; its pods may listen on 5353
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
    - {port: 5353, protocol: UDP}
    - {port: 5353, protocol: TCP}
{{- end -}}

{{- define "roomwatch.egressNATS" -}}
{{- range $server := splitList "," .Values.nats.url }}
{{- if trim $server }}
- ports: # NATS
    - port: {{ include "roomwatch.port" (trim $server) }}
      protocol: TCP
{{- end }}
{{- end }}
{{- end -}}
