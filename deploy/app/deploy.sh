#!/usr/bin/env bash
# Deploys latchkey as a Code Engine application with a timer and, if
# KAFKA_BROKERS is set, a subscription to audit events. See deploy/README.md.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need CONFIG
tools
config_file "$CONFIG"
collect app
select_project

put configmap "$CONFIG_MAP" -- --from-file latchkey.yaml="$CONFIG"
secrets

config_mount
code

# The application scales to zero. Work continues after an answer, so a replica
# stays for five minutes after its last request. It is ready once it can log in.
put application "$NAME" -- "${CODE[@]}" \
	--port 8080 --cpu "${CPU:-0.25}" --memory "${MEMORY:-0.5G}" \
	--min-scale "${MIN_SCALE:-0}" --max-scale "${MAX_SCALE:-2}" --concurrency 50 --scale-down-delay 300 \
	--request-timeout 120 \
	--probe-ready type=http --probe-ready path=/readyz --probe-ready interval=10 --probe-ready timeout=6 \
	--trusted-profiles-enabled="$TRUSTED" \
	"${WITH_CONFIG[@]}" "${WITH_SECRET[@]}"

check app
tick app
kafka app
first_sweep
say "application $NAME: done. For its address run: ibmcloud ce application get --name $NAME --output url"
