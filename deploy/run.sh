#!/usr/bin/env bash
# Runs a command of latchkey with the deployed config, secrets and identity, and prints what
# it says. A config with identity.profile logs in nowhere else.
#   deploy/run.sh status -o wide
#   NEW=new.yaml deploy/run.sh plan    what that config would do otherwise than the deployed one,
#                                      with those of its variables that are set here
#   IMAGE=… deploy/run.sh plan         the same by the program of that image, such as a newer one
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

(($# > 0)) || die "name a command, such as status"
tools
[[ -z ${NEW:-} ]] || config_file "$NEW"
select_project
job=$NAME
if exists job "$NAME-check"; then job=$NAME-check; fi
RUN_FLAGS=()
[[ -z ${IMAGE:-} ]] || RUN_FLAGS=(--image "$IMAGE")
if [[ -n ${NEW:-} ]]; then
	if exists function "$NAME"; then text_config; fi
	set -- "$@" --against "$CONFIG_FILE"
	# The text of a config comes before the file that the job has.
	RUN_FLAGS+=(--env-from-configmap "$NAME-new")
	new_secrets
	put configmap "$NAME-new" -- --from-file LATCHKEY_CONFIG="$NEW"
fi
job_run "$job" "$@"
ibmcloud ce jobrun delete --name "$NAME-$1" --force >/dev/null
[[ -z ${NEW:-} ]] || drop_new
