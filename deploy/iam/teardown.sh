#!/usr/bin/env bash
# Deletes the trusted profile with its link and policies.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

tools
PROFILE=${PROFILE:-$NAME}
ibmcloud iam trusted-profiles --id >/dev/null # fails if not logged in
if ibmcloud iam trusted-profile "$PROFILE" >/dev/null 2>&1; then
	say "trusted profile $PROFILE: delete"
	ibmcloud iam trusted-profile-delete "$PROFILE" --force >/dev/null
else
	say "trusted profile $PROFILE: not found"
fi
