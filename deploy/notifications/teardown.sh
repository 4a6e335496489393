#!/usr/bin/env bash
# Deletes everything that notifications/deploy.sh created in Event Notifications.
# The sources stay, since other components may use them.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need EVENT_NOTIFICATIONS_CRN REGION
tools
ibmcloud target -r "$REGION" >/dev/null
INSTANCE=$(guid "$EVENT_NOTIFICATIONS_CRN")
en() { ibmcloud event-notifications "$@" --instance-id "$INSTANCE"; }

for kind in subscription destination topic; do
	id=$(en "${kind}s" --limit 100 --output json |
		jq -r --arg n "$NAME" "[(.${kind}s // .)[]? | select(.name == \$n) | .id][0] // \"\"")
	if [[ -n $id ]]; then
		say "$kind $NAME: delete"
		en "$kind-delete" --id "$id" --force >/dev/null
	else
		say "$kind $NAME: not found"
	fi
done
