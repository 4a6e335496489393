#!/usr/bin/env bash
# Deploys latchkey as a Code Engine job with a timer and, if KAFKA_BROKERS is set,
# a subscription to audit events. See deploy/README.md.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need CONFIG
tools
config_file "$CONFIG"
collect job
select_project

# The config is mounted, since a job's definition, including its environment, is
# limited to 10 KiB.
put configmap "$CONFIG_MAP" -- --from-file latchkey.yaml="$CONFIG"
secrets

config_mount
code
# Several indices share a sweep. Only index 0 handles an event.
if ((${ARRAY_SIZE:-1} > 1)); then CODE+=(--array-indices "0-$((ARRAY_SIZE - 1))"); fi

# Three retries are safe: latchkey fails only if a retry may help, and a retry
# continues where the last run stopped.
put job "$NAME" -- "${CODE[@]}" --argument job \
	--cpu "${CPU:-0.25}" --memory "${MEMORY:-0.5G}" --maxexecutiontime 900 --retrylimit 3 \
	--trusted-profiles-enabled="$TRUSTED" \
	"${WITH_CONFIG[@]}" "${WITH_SECRET[@]}"

check job
tick job
kafka job
first_sweep
say "job $NAME: done. To run it now: ibmcloud ce jobrun submit --job $NAME"
