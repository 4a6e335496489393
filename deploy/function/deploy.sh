#!/usr/bin/env bash
# Deploys latchkey as a Code Engine function with a timer. See deploy/README.md.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need CONFIG
tools
config_file "$CONFIG"
collect function
BUNDLE=${BUNDLE:-$ROOT/dist/function}
[[ -f $BUNDLE/main.js && -f $BUNDLE/latchkey ]] || die "no bundle in $BUNDLE: run make bundle"
[[ ! -f $BUNDLE/latchkey.yaml ]] || say "note: the bundle has a latchkey.yaml; the config map overrides it"
select_project

# A function has no mounts, so the environment holds the config text. The job that runs
# doctor mounts the same text as a file.
put configmap "$CONFIG_MAP" -- --from-file LATCHKEY_CONFIG="$CONFIG"
text_config
secrets

WITH_CONFIG=(--env-from-configmap "$CONFIG_MAP")

# The documentation gives two defaults for CPU and memory, so both are set. 120 s
# is the maximum. After it the platform answers 299, which senders take for
# success, so latchkey answers 503 at 100 s.
put function "$NAME" -- \
	--runtime nodejs-24 --build-source "$BUNDLE" \
	--cpu "${CPU:-0.25}" --memory "${MEMORY:-1G}" --maxexecutiontime 120 \
	--trusted-profiles-enabled="$TRUSTED" \
	"${WITH_CONFIG[@]}" "${WITH_SECRET[@]}"

check function

# Code Engine's page on functions denies event subscriptions; its page on cron
# shows this one. If it is rejected, use a job's timer or Event Notifications.
tick function

[[ -z ${KAFKA_BROKERS:-} ]] || say "note: a function can't receive Kafka events; use an app or a job for them"
first_sweep
say "function $NAME: done. For its address run: ibmcloud ce function get --name $NAME"
