{{- define "lanner.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "lanner.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "lanner.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "lanner.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "lanner.selector" -}}
app.kubernetes.io/name: {{ include "lanner.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "lanner.labels" -}}
{{ include "lanner.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "lanner.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "lanner.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "lanner.image" -}}
{{- $name := .Values.image.repository }}
{{- with .Values.image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $name .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "lanner.rulesConfigMaps" -}}
{{- $names := list }}
{{- if .Values.customRules }}{{ $names = append $names (printf "%s-rules" (include "lanner.fullname" .)) }}{{ end }}
{{- toJson (concat $names .Values.rulesConfigMaps) }}
{{- end }}

{{/* Secrets that are mounted below /etc/lanner: directory -> name. */}}
{{- define "lanner.secrets" -}}
{{- $secrets := dict }}
{{- with .Values.web.existingSecret }}{{ $_ := set $secrets "web" . }}{{ end }}
{{- if .Values.grpc.tls.enabled }}{{ $_ := set $secrets "grpc" .Values.grpc.tls.existingSecret }}{{ end }}
{{- if and .Values.k8sAudit.enabled .Values.k8sAudit.tokenSecret }}{{ $_ := set $secrets "audit" .Values.k8sAudit.tokenSecret }}{{ end }}
{{- toJson $secrets }}
{{- end }}

{{/* What values cannot say by their types alone. */}}
{{- define "lanner.check" -}}
{{- if and .Values.k8sAudit.enabled (not .Values.k8sAudit.tokenSecret) (not .Values.web.clientCertificates) }}
{{- fail "k8sAudit.enabled needs k8sAudit.tokenSecret, or web.clientCertificates: anybody could send events" }}
{{- end }}
{{- if and .Values.grpc.tls.enabled (not .Values.grpc.tls.existingSecret) }}
{{- fail "grpc.tls.enabled needs grpc.tls.existingSecret, with tls.crt, tls.key and ca.crt" }}
{{- end }}
{{- if and (or .Values.web.tls .Values.web.bearerTokenKey) (not .Values.web.existingSecret) }}
{{- fail "web.tls and web.bearerTokenKey need web.existingSecret" }}
{{- end }}
{{- if and .Values.web.clientCertificates (not .Values.web.tls) }}
{{- fail "web.clientCertificates needs web.tls" }}
{{- end }}
{{- end }}

{{/* How the kubelet asks. It has no certificate: where clients need one, it can only connect. */}}
{{- define "lanner.probe" -}}
{{- if .root.Values.web.clientCertificates -}}
tcpSocket: { port: metrics }
{{- else -}}
httpGet: { path: {{ .path }}, port: metrics, scheme: {{ ternary "HTTPS" "HTTP" .root.Values.web.tls }} }
{{- end }}
{{- end }}

{{/* lanner.yaml: what the chart knows, overridden by .Values.config. */}}
{{- define "lanner.config" -}}
{{- $own := dict "json_output" true "http" (dict "listen" (printf ":%d" (int .Values.service.port))) }}
{{- $socket := ternary "unix:///run/lanner/lanner.sock" "" .Values.grpc.enabled }}
{{- $grpc := dict "socket" $socket }}
{{- if .Values.grpc.tls.enabled }}
{{- $_ := set $grpc "listen" (printf ":%d" (int .Values.grpc.tls.port)) }}
{{- $_ := set $grpc "private_key" "/etc/lanner/grpc/tls.key" }}
{{- $_ := set $grpc "cert_chain" "/etc/lanner/grpc/tls.crt" }}
{{- $_ := set $grpc "root_certs" "/etc/lanner/grpc/ca.crt" }}
{{- end }}
{{- $_ := set $own "grpc" $grpc }}
{{- if .Values.web.existingSecret }}
{{- with .Values.web.configKey }}{{ $_ := set $own.http "web_config_file" (printf "/etc/lanner/web/%s" .) }}{{ end }}
{{- with .Values.web.bearerTokenKey }}{{ $_ := set $own.http "bearer_token_file" (printf "/etc/lanner/web/%s" .) }}{{ end }}
{{- end }}
{{- $containers := dict }}
{{- if not .Values.containerRuntime.enabled }}
{{- $_ := set $containers "enabled" .Values.kubernetesApi.enabled }}
{{- $_ := set $containers "sockets" (dict "docker" list "podman" list "cri" list) }}
{{- end }}
{{- if .Values.kubernetesApi.enabled }}{{ $_ := set $containers "kubernetes" (dict "enabled" true) }}{{ end }}
{{- if $containers }}{{ $_ := set $own "containers" $containers }}{{ end }}
{{- if .Values.k8sAudit.enabled }}
{{- $audit := dict "enabled" true }}
{{- if .Values.k8sAudit.tokenSecret }}{{ $_ := set $audit "token_file" (printf "/etc/lanner/audit/%s" .Values.k8sAudit.tokenKey) }}{{ end }}
{{- $_ := set $own "k8s_audit" $audit }}
{{- end }}
{{- $files := list }}
{{- range $index, $_ := include "lanner.rulesConfigMaps" . | fromJsonArray }}
{{- $files = append $files (printf "/etc/lanner/rules.d/%02d" $index) }}
{{- end }}
{{- if $files }}
{{- if .Values.defaultRules }}{{ $files = prepend $files "default" }}{{ end }}
{{- $_ := set $own "rules_files" $files }}
{{- end }}
{{- with .Values.clusterName }}{{ $_ := set $own "static_fields" (dict "cluster" .) }}{{ end }}
{{- toYaml (mergeOverwrite $own (deepCopy .Values.config)) }}
{{- end }}
