{{- define "latchkey.labels" -}}
app.kubernetes.io/name: latchkey
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "latchkey.configMap" -}}
{{ .Values.existingConfigMap | default (printf "%s-config" .Release.Name) }}
{{- end }}

{{/* The pod of both forms. */}}
{{- define "latchkey.pod" -}}
metadata:
  labels:
    {{- include "latchkey.labels" . | nindent 4 }}
  annotations:
    # A changed config restarts the deployment.
    latchkey.dev/config: {{ .Values.config | sha256sum | trunc 16 | quote }}
spec:
  serviceAccountName: {{ .Release.Name }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if eq .Values.form "cronjob" }}
  restartPolicy: Never
  {{- end }}
  # Work that is under way at SIGTERM has 25 seconds, outcome events have 4 more.
  terminationGracePeriodSeconds: 40
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    {{- if .Values.files.secret }}
    fsGroup: 65532 # reads the files
    {{- end }}
    seccompProfile: {type: RuntimeDefault}
  containers:
  - name: latchkey
    image: {{ required "set image, with its digest" .Values.image | quote }}
    args: [{{ eq .Values.form "cronjob" | ternary "job" "serve" }}]
    env:
    - {name: LATCHKEY_CONFIG_FILE, value: /etc/latchkey/latchkey.yaml}
    {{- with .Values.secret }}
    envFrom:
    - secretRef: {name: {{ . | quote }}}
    {{- end }}
    {{- if eq .Values.form "deployment" }}
    ports:
    - {name: http, containerPort: 8080}
    # It is ready when it can log in to IAM.
    readinessProbe:
      httpGet: {path: /readyz, port: http}
      periodSeconds: 10
      timeoutSeconds: 6
    livenessProbe:
      httpGet: {path: /healthz, port: http}
      periodSeconds: 20
    {{- end }}
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    volumeMounts:
    - {name: config, mountPath: /etc/latchkey, readOnly: true}
    {{- if .Values.files.secret }}
    - {name: files, mountPath: {{ .Values.files.mountPath | quote }}, readOnly: true}
    {{- end }}
  volumes:
  - name: config
    configMap: {name: {{ include "latchkey.configMap" . }}}
  {{- with .Values.files.secret }}
  - name: files
    secret: {secretName: {{ . | quote }}, defaultMode: 0440}
  {{- end }}
{{- end }}
