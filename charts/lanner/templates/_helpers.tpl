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

{{/* lanner.yaml: what the chart knows, overridden by .Values.config. */}}
{{- define "lanner.config" -}}
{{- $own := dict "json_output" true "http" (dict "listen" (printf ":%d" (int .Values.service.port))) }}
{{- $socket := ternary "unix:///run/lanner/lanner.sock" "" .Values.grpc.enabled }}
{{- $_ := set $own "grpc" (dict "socket" $socket) }}
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
