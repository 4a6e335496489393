#!/usr/bin/env bash
# Routes audit events to Event Streams, with a target and a route of Activity
# Tracker Event Routing. The Kafka subscription of an app or job reads the topic.
#   EVENT_STREAMS_CRN=crn:…   KAFKA_BROKERS=host:port,…   KAFKA_TOPIC=…
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need EVENT_STREAMS_CRN KAFKA_BROKERS KAFKA_TOPIC REGION
tools
ibmcloud target -r "$REGION" >/dev/null

# With an authorization, no API key is stored with the target.
authorize atracker messagehub Writer "" "$(guid "$EVENT_STREAMS_CRN")"

# The reference has event_streams, an example on the same page event-streams.
flags=(--target-crn "$EVENT_STREAMS_CRN" --brokers "$KAFKA_BROKERS" --topic "$KAFKA_TOPIC" --service-to-service-enabled TRUE)
if ibmcloud atracker target get --target "$AUDIT" >/dev/null 2>&1; then
	say "target $AUDIT: update"
	ibmcloud atracker target update --target "$AUDIT" "${flags[@]}" >/dev/null
else
	say "target $AUDIT: create"
	ibmcloud atracker target create --name "$AUDIT" --type event_streams "${flags[@]}" --region "$REGION" >/dev/null
fi
target=$(ibmcloud atracker target get --target "$AUDIT" --output JSON | jq -r .id)
[[ -n $target && $target != null ]] || die "finding the target's ID"

# A route selects by location, not by action, so every audit event of these
# locations arrives. IAM's location is global, Code Engine's the project's region.
rules=$(jq -cn --arg l "${AUDIT_LOCATIONS:-$REGION}" --arg t "$target" '[{locations: ($l | split(",")), target_ids: [$t]}]')
if ibmcloud atracker route get --route "$AUDIT" >/dev/null 2>&1; then
	say "route $AUDIT: update"
	ibmcloud atracker route update --route "$AUDIT" --rules "$rules" --force >/dev/null
else
	say "route $AUDIT: create"
	ibmcloud atracker route create --name "$AUDIT" --rules "$rules" >/dev/null
fi
say "audit route: done. The first event may take an hour"
