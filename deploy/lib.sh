# shellcheck shell=bash disable=SC2034 # the scripts use these variables
# Functions and variables of all deploy scripts. Each script sources it first.
#
# Its rules:
#   - A secret comes from an environment variable or a file. It is written to a
#     file that only the current user can read, and the CLI gets the name of that
#     file. It is never an argument, since other users can read arguments.
#   - `bash -x` is switched off, so no trace shows a secret.
#   - Every step checks first: it updates what exists and creates the rest. A
#     script that failed half-way can be run again.

set +x
set -euo pipefail
umask 077
export IBMCLOUD_COLOR=false IBMCLOUD_VERSION_CHECK=false
# Child processes do not inherit these, nor the variables that the config needs.
export -n EVENTS_TOKEN LATCHKEY_API_KEY KAFKA_PASSWORD

DEPLOY=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$DEPLOY")

NAME=${NAME:-latchkey}
CONFIG_MAP=$NAME-config
SECRET=$NAME-secrets
FILES=$NAME-files
KAFKA_SECRET=$NAME-kafka
TICK=$NAME-tick
AUDIT=$NAME-audit
CONFIG_FILE=/etc/latchkey/latchkey.yaml # where it is mounted

SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
trap 'exit 130' INT TERM HUP

say() { printf '%s\n' "$*"; }

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# need VARIABLE... fails if one is not set. It never prints values.
need() {
	local name missing=()
	for name in "$@"; do
		[[ -n ${!name:-} ]] || missing+=("$name")
	done
	((${#missing[@]} == 0)) || die "set ${missing[*]} first; deploy/README.md explains each"
}

tools() {
	local tool
	((BASH_VERSINFO[0] >= 5)) || die "bash 5 or newer is needed"
	for tool in ibmcloud jq; do
		command -v "$tool" >/dev/null || die "$tool is not installed"
	done
	# NAME becomes part of entity names, file names and filters.
	[[ $NAME =~ ^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$ ]] ||
		die "NAME must be at most 42 lower-case letters, digits and dashes, starting with a letter"
}

select_project() {
	need PROJECT REGION RESOURCE_GROUP
	ibmcloud target -r "$REGION" -g "$RESOURCE_GROUP" >/dev/null
	ibmcloud ce project select --name "$PROJECT" >/dev/null
}

# exists KIND... NAME succeeds if the entity exists. It drops the output, since
# `secret get` prints values.
exists() {
	local name=${*: -1}
	ibmcloud ce "${@:1:$#-1}" get --name "$name" >/dev/null 2>&1
}

# put KIND... NAME -- FLAG... creates or updates a Code Engine entity.
put() {
	local kind=()
	while [[ $1 != -- ]]; do
		kind+=("$1")
		shift
	done
	shift
	local name=${kind[-1]} verb=create
	unset 'kind[-1]'
	if exists "${kind[@]}" "$name"; then verb=update; fi
	say "${kind[*]} $name: $verb"
	ibmcloud ce "${kind[@]}" "$verb" --name "$name" "$@" >/dev/null
}

# drop KIND... NAME deletes an entity if it exists.
drop() {
	local name=${*: -1}
	local kind=("${@:1:$#-1}")
	if exists "${kind[@]}" "$name"; then
		say "${kind[*]} $name: delete"
		ibmcloud ce "${kind[@]}" delete --name "$name" --force >/dev/null
	else
		say "${kind[*]} $name: not found"
	fi
}

# one_value VARIABLE fails if the variable and the file that VARIABLE_FILE names are both set
# and differ. One of them may be left over, such as that of another installation.
one_value() {
	local source=${1}_FILE
	[[ -n ${!1:-} && -n ${!source:-} ]] || return 0
	[[ -r ${!source} && ${!1} == "$(<"${!source}")" ]] || die "$1 and the file that $source names differ: unset one of them"
}

# secret_line KEY VARIABLE FILE adds KEY=value to an env file. The value comes
# from VARIABLE or from the file that VARIABLE_FILE names. It returns false if
# neither is set.
secret_line() {
	local key=$1 variable=$2 file=$3 source=${2}_FILE value
	one_value "$variable"
	if [[ -n ${!variable:-} ]]; then
		value=${!variable}
	elif [[ -n ${!source:-} ]]; then
		[[ -r ${!source} ]] || die "$source names no readable file"
		[[ $(realpath "${!source}") != "$ROOT"/* ]] || die "$source is inside of the checkout, which a build uploads: move it"
		value=$(<"${!source}")
	else
		return 1
	fi
	[[ -n $value ]] || die "$variable is empty"
	[[ $value != *$'\n'* && $value != *$'\r'* ]] || die "$variable must be one line"
	printf '%s=%s\n' "$key" "$value" >>"$file"
}

# text_file VARIABLE FILE writes a value that may have several lines to a file. The value
# comes from VARIABLE or from the file that VARIABLE_FILE names. It returns false if
# neither is set.
text_file() {
	local source=${1}_FILE
	one_value "$1"
	if [[ -n ${!1:-} ]]; then
		printf '%s\n' "${!1}" >"$2"
	elif [[ -n ${!source:-} && -r ${!source} ]]; then
		cat "${!source}" >"$2"
	else
		return 1
	fi
}

# config_file FILE fails if the config is unreadable or has faults. It sets NEEDS to the
# variables, files, roles and servers that the config needs.
config_file() {
	[[ -r $1 ]] || die "CONFIG names no readable file"
	if [[ -z ${LATCHKEY:-} ]]; then
		LATCHKEY=$ROOT/bin/latchkey
		[[ -x $LATCHKEY ]] || LATCHKEY=$(command -v latchkey) || true
	fi
	[[ -x $LATCHKEY ]] || die "latchkey reads the config: run make build, or set LATCHKEY to the program"
	# The environment may hold secrets, and validate reads none of it.
	NEEDS=$(env -i "$LATCHKEY" validate --config "$1" --needs) || die "the config has faults"
}

# collect COMPONENT gathers the secrets that the config needs, before anything is changed.
# Each variable comes from the variable of that name or from the file that NAME_FILE
# names; each file comes from the directory SECRET_FILES. It lists all that is missing.
# COMPONENT is function, app, job or provider. The provider takes no events and has no stores.
# An app and a job with KAFKA_BROKERS also need the topic and the password.
collect() {
	local component=$1 name what source missing=() line for=.
	[[ $component != provider ]] || for='select(.for | . == "identity" or startswith("outcomes"))'
	ENV_FILE=$SCRATCH/secrets.env ENV_TEXTS=() MOUNT='' MOUNTED=() TRUSTED=true
	: >"$ENV_FILE"
	if [[ -n ${KAFKA_BROKERS:-} && ($component == app || $component == job) ]]; then
		KAFKA_FILE=$SCRATCH/kafka.env
		printf 'username=%s\n' "${KAFKA_USERNAME:-token}" >"$KAFKA_FILE"
		secret_line password KAFKA_PASSWORD "$KAFKA_FILE" || missing+=("KAFKA_BROKERS needs KAFKA_PASSWORD or KAFKA_PASSWORD_FILE")
		[[ -n ${KAFKA_TOPIC:-} ]] || missing+=("KAFKA_BROKERS needs KAFKA_TOPIC")
	fi
	while IFS=$'\t' read -r name what; do
		source=$name
		[[ $name != IBMCLOUD_API_KEY ]] || source=LATCHKEY_API_KEY
		export -n "${source?}"
		if [[ $what == *.kubeconfigEnv ]] && text_file "$name" "$SCRATCH/env-$name"; then
			ENV_TEXTS+=(--from-file "$name=$SCRATCH/env-$name")
		elif secret_line "$name" "$source" "$ENV_FILE"; then
			[[ $name != IBMCLOUD_API_KEY ]] || TRUSTED=false
		elif [[ $name == IBMCLOUD_API_KEY ]]; then
			missing+=("the config needs an identity: the config has no identity.profile, and deploy/iam creates one. Or set $source or ${source}_FILE")
		else
			missing+=("the config needs $name or ${name}_FILE, for $what")
		fi
	done < <(jq -r ".variables[] | $for | [.name, .for] | @tsv" <<<"$NEEDS")
	[[ $TRUSTED == false || -z ${LATCHKEY_API_KEY:-}${LATCHKEY_API_KEY_FILE:-} ]] || say "note: the config logs in with identity.profile, so LATCHKEY_API_KEY is not used"
	while IFS=$'\t' read -r name what; do
		source=${SECRET_FILES:-}/${name##*/}
		if [[ $component == function ]]; then
			missing+=("the config needs a variable for $what: a function can't mount $name")
		elif [[ -n $MOUNT && $MOUNT != "${name%/*}" ]]; then
			missing+=("the config needs $name in the directory $MOUNT, for $what: Code Engine mounts a secret as one directory")
		elif [[ -z ${SECRET_FILES:-} || ! -r $source ]]; then
			missing+=("the config needs the file ${name##*/} in the directory SECRET_FILES, for $what")
		elif [[ $(realpath "$source") == "$ROOT"/* ]]; then
			missing+=("the config needs SECRET_FILES outside of the checkout, which a build uploads")
		else
			cat "$source" >"$SCRATCH/file-${name##*/}" # which only the current user can read
			MOUNT=${name%/*} MOUNTED+=(--from-file "${name##*/}=$SCRATCH/file-${name##*/}")
		fi
	done < <(jq -r ".files[] | $for | [.name, .for] | @tsv" <<<"$NEEDS")
	((${#missing[@]} == 0)) || {
		for line in "${missing[@]}"; do printf 'error: %s\n' "$line" >&2; done
		die "nothing was changed: ${#missing[@]} of what is needed is missing"
	}
	[[ $TRUSTED == true ]] || say "warning: latchkey uses a stored API key; a trusted profile needs none (deploy/iam)" >&2
}

# secrets stores what collect gathered, and sets WITH_SECRET to the flags that refer to
# it. A variable that the config no longer needs is removed.
secrets() {
	local stale=() name
	WITH_SECRET=()
	if [[ -s $ENV_FILE || ${#ENV_TEXTS[@]} -gt 0 ]]; then
		if exists secret "$SECRET"; then
			while IFS= read -r name; do
				grep -q "^$name=" "$ENV_FILE" || [[ -f $SCRATCH/env-$name ]] || stale+=(--rm "$name")
			done < <(ibmcloud ce secret get --name "$SECRET" --output json | jq -r '.data // {} | keys[]')
		fi
		[[ ! -s $ENV_FILE ]] || ENV_TEXTS+=(--from-env-file "$ENV_FILE")
		put secret "$SECRET" -- "${ENV_TEXTS[@]}" "${stale[@]}"
		WITH_SECRET=(--env-from-secret "$SECRET")
	fi
	if ((${#MOUNTED[@]} > 0)); then
		put secret "$FILES" -- "${MOUNTED[@]}"
		WITH_SECRET+=(--mount-secret "$MOUNT=$FILES")
	fi
}

# tick TYPE subscribes the component to a timer. An event without data requests a
# sweep. Without --schedule the platform would send one every minute.
tick() {
	put subscription cron "$TICK" -- \
		--destination "$NAME" --destination-type "$1" --schedule "${SCHEDULE:-7 * * * *}"
}

# code sets CODE to the flags for a ready image, or for a build from this checkout by
# Code Engine.
code() {
	if [[ -n ${IMAGE:-} ]]; then
		CODE=(--image "$IMAGE")
		[[ -z ${REGISTRY_SECRET:-} ]] || CODE+=(--registry-secret "$REGISTRY_SECRET")
	else
		CODE=(--build-source "$ROOT" --build-strategy dockerfile --build-dockerfile function/Dockerfile)
	fi
}

# config_mount sets WITH_CONFIG to the flags that mount the config map.
config_mount() {
	WITH_CONFIG=(--mount-configmap "${CONFIG_FILE%/*}=$CONFIG_MAP" --env "LATCHKEY_CONFIG_FILE=$CONFIG_FILE")
}

# text_config names the file that the config map of a function yields, if it is mounted.
text_config() { CONFIG_FILE=${CONFIG_FILE%/*}/LATCHKEY_CONFIG; }

# check FORM runs doctor and then a first sweep, with the config, the secrets and the
# identity of what was deployed, and prints what they say. A form that is no job gets a
# job for that, $NAME-check, to which deploy/iam links the identity, too. The timer comes
# after it, so nothing sweeps while doctor fails.
check() {
	SAID=''
	local job=$NAME
	[[ ${CHECK:-yes} != no ]] || return 0
	RUN_FLAGS=()
	if [[ $1 != job ]]; then
		job=$NAME-check
		code
		config_mount
		put job "$job" -- "${CODE[@]}" --argument doctor --cpu "${CPU:-0.25}" --memory 0.5G --maxexecutiontime 900 --retrylimit 0 \
			--trusted-profiles-enabled="$TRUSTED" "${WITH_CONFIG[@]}" "${WITH_SECRET[@]}"
	fi
	job_run "$job" doctor
	grep -Eq '(^|[^0-9])0 failed' <<<"$SAID" ||
		die "doctor found what is missing: see above. No key was made. Run this script again after the fix, or with CHECK=no"
	job_run "$job" sweep
}

# first_sweep says what the sweep of check did, and fails if something is left to do. The
# timer is there by then, since the sweep may have made keys.
first_sweep() {
	[[ ${CHECK:-yes} != no ]] || return 0
	SAID=$(grep -E '^[0-9]+ credentials?(:|$)' <<<"$SAID") || die "the first sweep did not end: see above. The timer sweeps again"
	[[ $SAID != *failed* && $SAID != *blocked* ]] || die "some credentials need you: see above, and docs/operations.md for each reason"
	say "first sweep: $SAID"
}

# job_run JOB COMMAND [ARGUMENT...] runs a command of latchkey as a run of the job, with
# the flags in RUN_FLAGS. It prints what the command says, and keeps it in SAID.
job_run() {
	local job=$1 run=$NAME-$2 argument flags=("${RUN_FLAGS[@]}")
	shift
	for argument in "$@"; do flags+=("--argument=$argument"); done
	if exists jobrun "$run"; then ibmcloud ce jobrun delete --name "$run" --force >/dev/null; fi
	say "$1: run of job $job"
	# The submission fails if the command does. What it says tells more.
	ibmcloud ce jobrun submit --job "$job" --name "$run" "${flags[@]}" --array-indices 0 --retrylimit 0 --wait --wait-timeout 960 >/dev/null 2>&1 || true
	SAID=$(ibmcloud ce jobrun logs --jobrun "$run") || die "the run $run did not start: ibmcloud ce jobrun get --name $run"
	printf '  %s\n' "${SAID//$'\n'/$'\n'  }"
}

# new_secrets stores the variables of a new config that are set here, and lets a run have
# them. Those that are deployed need not be.
new_secrets() {
	local name what texts=()
	ENV_FILE=$SCRATCH/new.env
	: >"$ENV_FILE"
	while IFS=$'\t' read -r name what; do
		if [[ $what == *.kubeconfigEnv ]] && text_file "$name" "$SCRATCH/env-$name"; then
			texts+=(--from-file "$name=$SCRATCH/env-$name")
		else
			secret_line "$name" "$name" "$ENV_FILE" || true
		fi
		export -n "${name?}"
	done < <(jq -r '.variables[] | select(.name != "IBMCLOUD_API_KEY") | [.name, .for] | @tsv' <<<"$NEEDS")
	[[ ! -s $ENV_FILE ]] || texts+=(--from-env-file "$ENV_FILE")
	((${#texts[@]} > 0)) || return 0
	put secret "$NAME-new" -- "${texts[@]}"
	RUN_FLAGS+=(--env-from-secret "$NAME-new")
}

# drop_new deletes what a run with a new config needed.
drop_new() {
	! exists secret "$NAME-new" || drop secret "$NAME-new"
	! exists configmap "$NAME-new" || drop configmap "$NAME-new"
}

# drop_check deletes what check and run.sh made.
drop_check() {
	drop_new
	drop jobrun "$NAME-doctor"
	drop jobrun "$NAME-sweep"
	drop job "$NAME-check"
}

# kafka TYPE subscribes an app or a job to the audit topic if KAFKA_BROKERS is set, with the
# password that collect gathered.
kafka() {
	[[ -n ${KAFKA_BROKERS:-} ]] || return 0
	local flags=() broker brokers
	put secret "$KAFKA_SECRET" -- --from-env-file "$KAFKA_FILE"
	IFS=, read -r -a brokers <<<"$KAFKA_BROKERS"
	for broker in "${brokers[@]}"; do flags+=(--broker "$broker"); done
	flags+=(--topic "$KAFKA_TOPIC" --secret "$KAFKA_SECRET" --destination "$NAME" --destination-type "$1")
	# The group can be set at creation only.
	exists subscription kafka "$AUDIT" || flags+=(--consumer-group "$NAME")
	put subscription kafka "$AUDIT" -- "${flags[@]}"
}

# project_crn prints the project's CRN. A project is a service instance; the
# filter skips instances of other services with the same name.
project_crn() {
	if [[ -n ${PROJECT_CRN:-} ]]; then
		printf '%s\n' "$PROJECT_CRN"
		return
	fi
	local crn
	crn=$(ibmcloud resource service-instance "$PROJECT" --location "$REGION" -g "$RESOURCE_GROUP" --crn 2>/dev/null |
		grep -m1 -o 'crn:[^[:space:]]*:codeengine:[^[:space:]]*') || die "finding the project's CRN: set PROJECT_CRN"
	printf '%s\n' "$crn"
}

# authorize SOURCE TARGET ROLES SOURCE-INSTANCE TARGET-INSTANCE lets one service
# call another. An empty instance means all instances. The JSON has the policy
# API's form: attributes with name and value.
authorize() {
	local source=$1 target=$2 roles=$3 from=$4 to=$5 flags=() known
	known=$(ibmcloud iam authorization-policies --output JSON |
		jq --arg s "$source" --arg t "$target" --arg f "$from" --arg i "$to" '
			def has($n; $v): any(.[]?.attributes[]?; .name == $n and .value == $v);
			[.[]? | select((.subjects | has("serviceName"; $s)) and (.resources | has("serviceName"; $t))
				and ($f == "" or (.subjects | has("serviceInstance"; $f)))
				and ($i == "" or (.resources | has("serviceInstance"; $i))))] | length')
	if ((known > 0)); then
		say "authorization $source -> $target: exists"
		return
	fi
	[[ -z $from ]] || flags+=(--source-service-instance-id "$from")
	[[ -z $to ]] || flags+=(--target-service-instance-id "$to")
	say "authorization $source -> $target: create"
	ibmcloud iam authorization-policy-create "$source" "$target" "$roles" "${flags[@]}" >/dev/null
}

# guid CRN prints the instance's ID.
guid() { cut -d: -f8 <<<"$1"; }
