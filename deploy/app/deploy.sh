#!/usr/bin/env bash
# latchkey as a Code Engine application, with a timer and, if KAFKA_BROKERS is
# set, the audit events of a topic. deploy/README.md says how.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need CONFIG
tools
config_file "$CONFIG"
select_project

put configmap "$CONFIG_MAP" -- --from-file latchkey.yaml="$CONFIG"
secrets

# A ready image, or one that Code Engine builds from this checkout.
if [[ -n ${IMAGE:-} ]]; then
	code=(--image "$IMAGE")
	[[ -z ${REGISTRY_SECRET:-} ]] || code+=(--registry-secret "$REGISTRY_SECRET")
else
	code=(--build-source "$ROOT" --build-strategy dockerfile --build-dockerfile function/Dockerfile)
fi

# It scales to zero. Work goes on behind an answer, so an instance stays for
# five minutes after its last request. Ready means: our own identity works.
put application "$NAME" -- "${code[@]}" \
	--port 8080 --cpu "${CPU:-0.25}" --memory "${MEMORY:-0.5G}" \
	--min-scale "${MIN_SCALE:-0}" --max-scale "${MAX_SCALE:-2}" --concurrency 50 --scale-down-delay 300 \
	--request-timeout 120 \
	--probe-ready type=http --probe-ready path=/readyz --probe-ready interval=10 --probe-ready timeout=6 \
	--trusted-profiles-enabled="$TRUSTED" \
	--mount-configmap /etc/latchkey="$CONFIG_MAP" --env LATCHKEY_CONFIG_FILE=/etc/latchkey/latchkey.yaml \
	"${WITH_SECRET[@]}"

tick app
kafka app
say "application $NAME: done. Its address: ibmcloud ce application get --name $NAME --output url"
