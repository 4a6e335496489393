#!/usr/bin/env bash
# Deploys latchkey as the provider of custom credentials: a job, and the
# authorization for Secrets Manager to start it. See deploy/README.md.
#   SECRETS_MANAGER_CRN   the instance; the config lists it in provider.instances
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need CONFIG SECRETS_MANAGER_CRN
tools
config_file "$CONFIG"
collect provider
grep -Eq '^provider:' "$CONFIG" || die "the config has no provider, so every request would be rejected"
select_project
NAME=$NAME-provider
CONFIG_MAP=$NAME-config
SECRET=$NAME-secrets
FILES=$NAME-files

put configmap "$CONFIG_MAP" -- --from-file latchkey.yaml="$CONFIG"
secrets

config_mount
code

# The parameters and credentials of the secrets. Secrets Manager reads them when
# the configuration is created, so a change needs a new configuration.
declared=()
while IFS= read -r line; do declared+=(--env "$line"); done < <(
	jq -r '.job_env_variables[] | "\(.name)=\(.value)"' "$(dirname "${BASH_SOURCE[0]}")/parameters.json"
)

# No retries: Secrets Manager shows the failed task, and the user tries again.
put job "$NAME" -- "${CODE[@]}" --argument job "${declared[@]}" \
	--cpu "${CPU:-0.25}" --memory "${MEMORY:-0.5G}" --maxexecutiontime 3000 --retrylimit 0 \
	--trusted-profiles-enabled="$TRUSTED" \
	"${WITH_CONFIG[@]}" "${WITH_SECRET[@]}"

authorize secrets-manager codeengine Viewer,Writer "$(guid "$SECRETS_MANAGER_CRN")" "$(guid "$(project_crn)")"

say "job $NAME: done. Now create a configuration of the custom credentials engine in Secrets Manager with project $PROJECT and job $NAME"
