{{- define "trtllm-operator.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "trtllm-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "trtllm-operator.labels" -}}
{{ include "trtllm-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "trtllm-operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "trtllm-operator.name" .) -}}
{{- end -}}

{{/* What the operator may do where it works: no Secrets, no exec. Nodes are in a role of their own. */}}
{{- define "trtllm-operator.rules" -}}
- apiGroups: [trtllm.dev]
  resources: [quantizedmodels, enginebuilds]
  verbs: [get, list, watch]
- apiGroups: [trtllm.dev]
  resources: [quantizedmodels/status, enginebuilds/status]
  verbs: [get, patch, update]
# children carry an ownerReference that blocks the owner's deletion
- apiGroups: [trtllm.dev]
  resources: [quantizedmodels/finalizers, enginebuilds/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [get, list, create, patch]
{{- end -}}
