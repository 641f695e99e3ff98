{{/* roomnotify and roomaudit. The argument is a dict: root, and name, which is that of the program, of its values and of its file in templates/. */}}

{{/* 52 characters with the name of the program, as roomwatch.fullname has. */}}
{{- define "part.fullname" -}}
{{- printf "%s-%s" (include "roomwatch.fullname" .root | trunc 41 | trimSuffix "-") .name -}}
{{- end -}}

{{- define "part.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{- define "part.labels" -}}
{{ include "part.selector" . }}
app.kubernetes.io/part-of: {{ include "roomwatch.name" .root }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "part.values" -}}{{ toJson (get .root.Values .name) }}{{- end -}}

{{/* What is wrong with its values taken together. */}}
{{- define "part.validate" -}}
{{- $part := include "part.values" . | fromJson -}}
{{- $root := .root -}}
{{- $prefix := upper .name -}}
{{- if not $root.Values.nats.url -}}
{{- fail (printf "%s.enabled is true and nats.url is empty: it reads the events from NATS, and the embedded server serves roomwatch alone; set nats.url" .name) -}}
{{- end -}}
{{- with $part.nats -}}
{{- if and (not .existingSecret) (or .credsName .passwordName .tokenName .caName .certName .keyName) -}}
{{- fail (printf "%s.nats names entries of a secret: set %s.nats.existingSecret to the secret that has them" $.name $.name) -}}
{{- end -}}
{{- end -}}
{{- include "roomwatch.validateLogin" (dict "nats" $part.nats "name" (printf "%s.nats" .name)) -}}
{{- $volume := ternary "rules" "data" (eq .name "roomnotify") -}}
{{- include "roomwatch.validatePod" (dict "values" $part "prefix" (printf "%s." .name) "volumes" (list $volume "secret" "nats") "data" (ternary "/etc/roomnotify" "/data" (eq .name "roomnotify"))) -}}
{{- $own := dict "NATS_URL" "nats.url" "NATS_JS_DOMAIN" "nats.domain" (printf "%s_HTTP_ADDR" $prefix) "port" (printf "%s_HTTP_OPEN" $prefix) "http.open" (printf "%s_HTTP_TOKEN" $prefix) "secret" (printf "%s_HTTP_TOKEN_FILE" $prefix) "secret" "ROOMNOTIFY_RULES" "rules" "ROOMAUDIT_DIR" "persistence" -}}
{{- range $name := list "NATS_USER" "NATS_CREDS" "NATS_PASSWORD" "NATS_PASSWORD_FILE" "NATS_TOKEN" "NATS_TOKEN_FILE" "NATS_CA" "NATS_CERT" "NATS_KEY" -}}
{{- $_ := set $own $name "nats" -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $name, $value := $part.env -}}
{{- if hasKey $own $name -}}
{{- fail (printf "%s.env.%s: the chart sets it, or it is a secret; use %s" $.name $name (get $own $name)) -}}
{{- end -}}
{{- $_ := set $seen $name true -}}
{{- end -}}
{{- range $part.extraEnv -}}
{{- if hasKey $own .name -}}
{{- fail (printf "%s.extraEnv: the chart sets %s; use %s" $.name .name (get $own .name)) -}}
{{- end -}}
{{- if hasKey $seen .name -}}
{{- fail (printf "%s.extraEnv: %s is set twice; leave one out" $.name .name) -}}
{{- end -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- end -}}

{{/* The pod's metadata and spec, but for the volume data. */}}
{{- define "part.pod" -}}
{{- $part := include "part.values" . | fromJson -}}
{{- $root := .root -}}
{{- $prefix := upper .name -}}
metadata:
  labels:
    {{- include "part.labels" . | nindent 4 }}
    {{- with $part.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $part.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "roomwatch.serviceAccount" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .name }}
      image: {{ include "roomwatch.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [{{ .name }}, run]
      securityContext: {{- toYaml $root.Values.securityContext | nindent 8 }}
      env:
        {{- if eq .name "roomnotify" }}
        - name: ROOMNOTIFY_RULES
          value: /etc/roomnotify/rules.yaml
        {{- else }}
        - name: ROOMAUDIT_DIR
          value: /data
        {{- end }}
        - name: {{ $prefix }}_HTTP_ADDR
          value: {{ printf "0.0.0.0:%d" (int $part.port) | quote }}
        {{- if $root.Values.http.open }}
        - name: {{ $prefix }}_HTTP_OPEN
          value: "true"
        {{- else }}
        - name: {{ $prefix }}_HTTP_TOKEN_FILE
          value: /etc/roomwatch/http-token
        {{- end }}
        {{- if not (include "roomwatch.variable" (dict "env" $part.env "extraEnv" $part.extraEnv "name" (printf "%s_LOG_FORMAT" $prefix))) }}
        - name: {{ $prefix }}_LOG_FORMAT
          value: json
        {{- end }}
        - name: NATS_URL
          value: {{ $root.Values.nats.url | quote }}
        {{- with $root.Values.nats.domain }}
        - name: NATS_JS_DOMAIN
          value: {{ . | quote }}
        {{- end }}
        {{- include "roomwatch.natsLogin" (dict "nats" $part.nats "mount" "/etc/roomwatch-nats") | nindent 8 }}
        {{- range $name, $value := $part.env }}
        - name: {{ $name }}
          value: {{ include "roomwatch.text" $value }}
        {{- end }}
        {{- with $part.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $part.secretEnv }}
      envFrom:
        - secretRef: {name: {{ . | quote }}}
      {{- end }}
      ports:
        - name: http
          containerPort: {{ $part.port }}
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 20
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
      resources: {{- toYaml $part.resources | nindent 8 }}
      volumeMounts:
        {{- if eq .name "roomnotify" }}
        # The directory, not the file: so a change of the rules reaches it without a restart.
        - name: rules
          mountPath: /etc/roomnotify
          readOnly: true
        {{- else }}
        - name: data
          mountPath: /data
        {{- end }}
        {{- if not $root.Values.http.open }}
        - name: secret
          mountPath: /etc/roomwatch
          readOnly: true
        {{- end }}
        {{- if $part.nats.existingSecret }}
        - name: nats
          mountPath: /etc/roomwatch-nats
          readOnly: true
        {{- end }}
        {{- with $part.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  {{- with $part.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $part.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $part.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  volumes:
    {{- if eq .name "roomnotify" }}
    - name: rules
      configMap:
        name: {{ $part.existingConfigMap | default (include "part.fullname" .) | quote }}
    {{- else if not $part.persistence.enabled }}
    - name: data
      emptyDir: {}
    {{- else if $part.persistence.existingClaim }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ $part.persistence.existingClaim | quote }}
    {{- end }}
    {{- if not $root.Values.http.open }}
    - name: secret
      secret:
        secretName: {{ include "roomwatch.secret" $root }}
        defaultMode: 0440
        items:
          - key: {{ $root.Values.secret.httpTokenName }}
            path: http-token
    {{- end }}
    {{- if $part.nats.existingSecret }}
    - name: nats
      secret:
        secretName: {{ $part.nats.existingSecret }}
        defaultMode: 0440
    {{- end }}
    {{- with $part.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* A service for the metrics, what finds it, and who may come and go. */}}
{{- define "part.around" -}}
{{- $part := include "part.values" . | fromJson -}}
{{- $root := .root -}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "part.fullname" . }}
  labels: {{- include "part.labels" . | nindent 4 }}
spec:
  publishNotReadyAddresses: true
  clusterIP: None
  selector: {{- include "part.selector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ $part.port }}
      targetPort: http
{{- if $root.Values.serviceMonitor.enabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "part.fullname" . }}
  labels:
    {{- include "part.labels" . | nindent 4 }}
    {{- with $root.Values.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels: {{- include "part.selector" . | nindent 6 }}
  endpoints:
    - port: http
      path: /metrics
      interval: {{ $root.Values.serviceMonitor.interval }}
      relabelings:
        - targetLabel: job
          replacement: {{ .name }}
      {{- if not $root.Values.http.open }}
      authorization:
        credentials:
          name: {{ include "roomwatch.secret" $root }}
          key: {{ $root.Values.secret.httpTokenName }}
      {{- end }}
{{- end }}
{{- if $root.Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "part.fullname" . }}
  labels: {{- include "part.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "part.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from: {{- include "roomwatch.from" $root | nindent 8 }}
      ports:
        - port: http
          protocol: TCP
  egress:
    {{- include "roomwatch.egressDNS" $root | nindent 4 }}
    {{- include "roomwatch.egressNATS" $root | nindent 4 }}
    {{- if eq .name "roomnotify" }}
    - ports: # targets
        - port: 443
          protocol: TCP
    {{- range $name, $target := (get $part.rules "targets") }}
    {{- $url := get $target "url" }}
    {{- if and (eq (get $target "starttls") "none") (not (regexMatch ":[0-9]+/?$" $url)) }}
    {{- $url = printf "%s:25" (trimSuffix "/" $url) }}
    {{- end }}
    {{- range list $url (get $target "proxy") }}
    {{- if and (contains "://" .) (ne (include "roomwatch.port" .) "443") }}
    - ports: # {{ $name }}
        - port: {{ include "roomwatch.port" . }}
          protocol: TCP
    {{- end }}
    {{- end }}
    {{- end }}
    {{- range $name := list "HTTPS_PROXY" "HTTP_PROXY" }}
    {{- with include "roomwatch.variable" (dict "env" $part.env "extraEnv" $part.extraEnv "name" $name) | trimPrefix "=" }}
    - ports: # {{ $name }}
        - port: {{ include "roomwatch.port" (ternary . (printf "http://%s" .) (contains "://" .)) }}
          protocol: TCP
    {{- end }}
    {{- end }}
    {{- end }}
    {{- with $part.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end -}}
