#!/usr/bin/env bash
# latchkey as a Code Engine function, with a timer. deploy/README.md says how.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need CONFIG
tools
config_file "$CONFIG"
BUNDLE=${BUNDLE:-$ROOT/dist/function}
[[ -f $BUNDLE/main.js && -f $BUNDLE/latchkey ]] || die "no bundle in $BUNDLE: run make bundle"
[[ ! -f $BUNDLE/latchkey.yaml ]] || say "note: the bundle has a latchkey.yaml; the config map wins over it"
select_project

# A function has no mounts: the text itself goes into the environment.
put configmap "$CONFIG_MAP" -- --from-file LATCHKEY_CONFIG="$CONFIG"
secrets

# The documents disagree on the default CPU and memory, so both are said.
# 120 s is the most; past it the platform answers 299, which senders take for a
# success, so latchkey answers 503 at 100 s.
put function "$NAME" -- \
	--runtime nodejs-24 --build-source "$BUNDLE" \
	--cpu "${CPU:-0.25}" --memory "${MEMORY:-1G}" --maxexecutiontime 120 \
	--trusted-profiles-enabled="$TRUSTED" \
	--env-from-configmap "$CONFIG_MAP" "${WITH_SECRET[@]}"

# Code Engine's page on functions denies event subscriptions, its page on cron
# shows this one. Should it be refused: a job's timer, or Event Notifications'.
tick function

[[ -z ${KAFKA_BROKERS:-} ]] || say "note: a function can't take Kafka events; use the app or the job for them"
say "function $NAME: done. Its address: ibmcloud ce function get --name $NAME"
