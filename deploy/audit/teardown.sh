#!/usr/bin/env bash
# Deletes the audit route and its target. The authorization stays, since other
# components may rely on it (ibmcloud iam authorization-policies).
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need REGION
tools
ibmcloud target -r "$REGION" >/dev/null
ibmcloud atracker target ls >/dev/null # fails if not logged in
for kind in route target; do # a target in use by a route can't be deleted
	if ibmcloud atracker "$kind" get "--$kind" "$AUDIT" >/dev/null 2>&1; then
		say "$kind $AUDIT: delete"
		ibmcloud atracker "$kind" rm "--$kind" "$AUDIT" --force >/dev/null
	else
		say "$kind $AUDIT: not found"
	fi
done
