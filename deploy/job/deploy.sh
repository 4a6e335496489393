#!/usr/bin/env bash
# latchkey as a Code Engine job, with a timer and, if KAFKA_BROKERS is set, the
# audit events of a topic. deploy/README.md says how.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need CONFIG
tools
config_file "$CONFIG"
select_project

# Mounted, since a job's definition may have 10 KiB, its environment included.
put configmap "$CONFIG_MAP" -- --from-file latchkey.yaml="$CONFIG"
secrets

if [[ -n ${IMAGE:-} ]]; then
	code=(--image "$IMAGE")
	[[ -z ${REGISTRY_SECRET:-} ]] || code+=(--registry-secret "$REGISTRY_SECRET")
else
	code=(--build-source "$ROOT" --build-strategy dockerfile --build-dockerfile function/Dockerfile)
fi
# Several indices share a sweep; an event is for index 0 alone.
if ((${ARRAY_SIZE:-1} > 1)); then code+=(--array-indices "0-$((ARRAY_SIZE - 1))"); fi

# Three retries are safe: latchkey fails only when a repetition may help, and a
# repetition finds what the last run left.
put job "$NAME" -- "${code[@]}" --argument job \
	--cpu "${CPU:-0.25}" --memory "${MEMORY:-0.5G}" --maxexecutiontime 900 --retrylimit 3 \
	--trusted-profiles-enabled="$TRUSTED" \
	--mount-configmap /etc/latchkey="$CONFIG_MAP" --env LATCHKEY_CONFIG_FILE=/etc/latchkey/latchkey.yaml \
	"${WITH_SECRET[@]}"

tick job
kafka job
say "job $NAME: done. A run by hand: ibmcloud ce jobrun submit --job $NAME"
