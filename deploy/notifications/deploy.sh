#!/usr/bin/env bash
# Sends Event Notifications to latchkey: new resources of the account and, with
# SECRETS_MANAGER_CRN, expiring secrets. See deploy/README.md.
#   FORM=function|app|job           the receiver
#   EVENT_NOTIFICATIONS_CRN=crn:…   the Event Notifications instance
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need FORM EVENT_NOTIFICATIONS_CRN
tools
select_project
INSTANCE=$(guid "$EVENT_NOTIFICATIONS_CRN")
SECRETS_SOURCE=${SECRETS_SOURCE:-$NAME-secrets-manager}
en() { ibmcloud event-notifications "$@" --instance-id "$INSTANCE"; }

# id_of LIST FILTER [NAME] prints the ID of the first item of LIST (sources,
# topics, destinations or subscriptions) for which the jq FILTER holds.
id_of() {
	# Public samples use --output json with every command of the plug-in. The
	# reference page does not list it.
	en "$1" --limit 100 --output json | jq -r --arg n "${3:-}" "[(.$1 // .)[]? | select($2) | .id][0] // \"\""
}

# --- Sources

# The lifecycle source exists in every instance, disabled.
lifecycle=${LIFECYCLE_SOURCE_ID:-$(id_of sources '.type == "resource-lifecycle-events"')}
[[ -n $lifecycle ]] || die "finding the resource lifecycle source: set LIFECYCLE_SOURCE_ID (ibmcloud event-notifications sources)"
say "source $lifecycle: enable"
en source-update --id "$lifecycle" --enabled=true >/dev/null
sources=$(jq -n --arg id "$lifecycle" --arg f "${LIFECYCLE_FILTER:-}" \
	'[{id: $id, rules: [{enabled: true, event_type_filter: "$.*"} + (if $f == "" then {} else {notification_filter: $f} end)]}]')

if [[ -n ${SECRETS_MANAGER_CRN:-} ]]; then
	sm=(--instance-id "$(guid "$SECRETS_MANAGER_CRN")" --region "$(cut -d: -f6 <<<"$SECRETS_MANAGER_CRN")")
	authorize secrets-manager event-notifications "Event Source Manager" "$(guid "$SECRETS_MANAGER_CRN")" "$INSTANCE"
	if ibmcloud secrets-manager notifications-registration "${sm[@]}" >/dev/null 2>&1; then
		say "registration of Secrets Manager: exists"
	else
		say "registration of Secrets Manager: create"
		ibmcloud secrets-manager notifications-registration-create "${sm[@]}" \
			--event-notifications-instance-crn "$EVENT_NOTIFICATIONS_CRN" --event-notifications-source-name "$SECRETS_SOURCE" >/dev/null
	fi
	# shellcheck disable=SC2016 # $n is jq's
	id=${SECRETS_SOURCE_ID:-$(id_of sources '.name == $n' "$SECRETS_SOURCE")}
	[[ -n $id ]] || die "finding Secrets Manager among the sources: set SECRETS_SOURCE_ID (ibmcloud event-notifications sources)"
	# latchkey acts on two of its types. A filter here would save calls.
	sources=$(jq --arg id "$id" '. + [{id: $id, rules: [{enabled: true, event_type_filter: "$.*"}]}]' <<<"$sources")
fi

# --- Topic. An update only adds sources, so a changed filter needs a teardown first.

# shellcheck disable=SC2016 # $n is jq's
topic=$(id_of topics '.name == $n' "$NAME")
if [[ -n $topic ]]; then
	say "topic $NAME: update"
	en topic-update --id "$topic" --name "$NAME" --sources "$sources" >/dev/null
else
	say "topic $NAME: create"
	topic=$(en topic-create --name "$NAME" --description "For latchkey" --sources "$sources" --output json | jq -r .id)
fi

# --- Destination

config=$SCRATCH/destination.json
case $FORM in
job)
	crn=$(project_crn)
	# Event Notifications' page on this destination requires both roles.
	authorize event-notifications codeengine Writer,Viewer "$INSTANCE" "$(guid "$crn")"
	jq -n --arg job "$NAME" --arg crn "$crn" '{params: {type: "job", job_name: $job, project_crn: $crn}}' >"$config"
	;;
function | app)
	if [[ $FORM == app ]]; then
		url=$(ibmcloud ce application get --name "$NAME" --output url)
	else
		url=$(ibmcloud ce function get --name "$NAME" --output json | jq -r .endpoint)
	fi
	[[ $url == https://* ]] || die "$FORM $NAME has no https address; is its visibility public?"
	# A file holds the token. You can also restrict the source IP addresses.
	token=$SCRATCH/token.env
	secret_line token EVENTS_TOKEN "$token" || die "set EVENTS_TOKEN_FILE or EVENTS_TOKEN: the same as for ${FORM}/deploy.sh"
	jq -n --arg url "$url" --rawfile token "$token" '{params: {
		type: "application", url: $url, verb: "post",
		custom_headers: {Authorization: ("Bearer " + ($token | rtrimstr("\n") | ltrimstr("token=")))},
		sensitive_headers: ["Authorization"]}}' >"$config"
	;;
*) die "FORM must be function, app or job" ;;
esac

# shellcheck disable=SC2016 # $n is jq's
destination=$(id_of destinations '.name == $n' "$NAME")
if [[ -n $destination ]]; then
	say "destination $NAME: update"
	en destination-update --id "$destination" --name "$NAME" --config=@"$config" >/dev/null
else
	say "destination $NAME: create"
	# The answer repeats the config with the token, so only its ID is used.
	destination=$(en destination-create --name "$NAME" --type ibmce --description "latchkey" --config=@"$config" --output json | jq -r .id)
fi

# --- Subscription

# shellcheck disable=SC2016 # $n is jq's
if [[ -n $(id_of subscriptions '.name == $n' "$NAME") ]]; then
	say "subscription $NAME: exists"
else
	say "subscription $NAME: create"
	en subscription-create --name "$NAME" --destination-id "$destination" --topic-id "$topic" >/dev/null
fi
say "Event Notifications: done"
