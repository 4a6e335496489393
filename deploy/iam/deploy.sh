#!/usr/bin/env bash
# Creates the trusted profile that one form of latchkey logs in with, and its
# policies. deploy/iam/README.md has the reason for each.
#   FORM=function|app|job   the one component that the profile trusts
#   GRANTS='service:instance:role,role;…'   the roles that latchkey may grant
#   MANAGED_SERVICE_IDS='ServiceId-…;…'     the service IDs that others created: serviceID.id in the config
#   ACCESS_GROUPS='AccessGroupId-…;…'       the access groups of the config
#   CODE_ENGINE_RESOURCE_GROUP_ID, or CODE_ENGINE_PROJECTS='GUID;…', or CODE_ENGINE=all, or none
#   SECRETS_TASKS           GUID of the Secrets Manager instance, for the provider
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need FORM
[[ -n ${SECRETS_TASKS:-}${MANAGED_SERVICE_IDS:-}${ACCESS_GROUPS:-} ]] || need GRANTS
case ${CODE_ENGINE:-limited} in
all | none) ;;
limited)
	[[ -n ${CODE_ENGINE_RESOURCE_GROUP_ID:-}${CODE_ENGINE_PROJECTS:-} ]] ||
		die "set CODE_ENGINE_RESOURCE_GROUP_ID or CODE_ENGINE_PROJECTS to the projects that latchkey writes to; CODE_ENGINE=all is every project, none is none"
	;;
*) die "CODE_ENGINE must be all or none" ;;
esac
tools
select_project
PROFILE=${PROFILE:-$NAME}
case $FORM in
function | job) component=$FORM ;;
app) component=application ;;
*) die "FORM must be function, app or job" ;;
esac

if ibmcloud iam trusted-profile "$PROFILE" >/dev/null 2>&1; then
	say "trusted profile $PROFILE: exists"
else
	say "trusted profile $PROFILE: create"
	ibmcloud iam trusted-profile-create "$PROFILE" --description "latchkey: creates, rotates and revokes service ID API keys" >/dev/null
fi

# The link names the component, so other components can't use the profile. The
# CLI's reference page lacks --cr-type CE and both --link-component flags. IBM's
# Code Engine samples use them for jobs, applications and functions.
#
# link NAME TYPE COMPONENT creates a link if it does not exist.
link() {
	if ibmcloud iam trusted-profile-links "$PROFILE" --output JSON | jq -e --arg n "$1" 'any(.[]?; .name == $n)' >/dev/null; then
		say "link $1: exists"
		return
	fi
	local crn
	crn=$(project_crn)
	say "link $1: create"
	ibmcloud iam trusted-profile-link-create "$PROFILE" --name "$1" --cr-type CE --link-crn "$crn" \
		--link-component-type "$2" --link-component-name "$3" >/dev/null
}
link "$NAME-$FORM" "$component" "$NAME"
# deploy.sh runs doctor and the first sweep in this job.
[[ $FORM == job ]] || link "$NAME-check" job "$NAME-check"

# policy ROLES SERVICE [INSTANCE [RESOURCE-GROUP-ID [RESOURCE]]]
# creates or updates the one policy for this service and scope.
policy() {
	local roles=$1 service=$2 instance=${3:-} group=${4:-} resource=${5:-} id flags scope
	flags=(--roles "$roles" --service-name "$service")
	[[ -z $instance ]] || flags+=(--service-instance "$instance")
	[[ -z $group ]] || flags+=(--resource-group-id "$group")
	[[ -z $resource ]] || flags+=(--resource "$resource")
	scope=${instance:-${group:-${resource:-everything}}}
	id=$(ibmcloud iam trusted-profile-policies "$PROFILE" --output JSON |
		jq -r --arg s "$service" --arg i "$instance" --arg g "$group" --arg r "$resource" '
			def value($n): [.resources[]?.attributes[]? | select(.name == $n) | .value][0] // "";
			[.[]? | select(value("serviceName") == $s and value("serviceInstance") == $i and value("resourceGroupId") == $g and value("resource") == $r) | .id][0] // ""')
	if [[ -n $id ]]; then
		say "policy $service $scope: update to $roles"
		ibmcloud iam trusted-profile-policy-update "$PROFILE" "$id" "${flags[@]}" >/dev/null
	else
		say "policy $service $scope: create with $roles"
		ibmcloud iam trusted-profile-policy-create "$PROFILE" "${flags[@]}" >/dev/null
	fi
}

# each 'a;b' COMMAND… runs the command with each item as its last argument.
each() {
	local items item
	IFS=';' read -r -a items <<<"$1"
	shift
	for item in "${items[@]}"; do [[ -z $item ]] || "$@" "$item"; done
}

# latchkey creates its service IDs, and their creator administers them and their keys.
policy "${IDENTITY_ROLES:-Viewer,Service ID creator}" iam-identity
# The keys of a service ID that another tool created take an Administrator of that one.
each "${MANAGED_SERVICE_IDS:-}" policy Administrator iam-identity "" ""

case ${CODE_ENGINE:-limited} in
all) policy Viewer,Writer codeengine ;;
limited)
	[[ -z ${CODE_ENGINE_RESOURCE_GROUP_ID:-} ]] || policy Viewer,Writer codeengine "" "$CODE_ENGINE_RESOURCE_GROUP_ID"
	each "${CODE_ENGINE_PROJECTS:-}" policy Viewer,Writer codeengine
	;;
esac

# An Editor adds members to the group. Viewer shows the members of all groups.
[[ -z ${ACCESS_GROUPS:-} ]] || policy Viewer iam-groups
each "${ACCESS_GROUPS:-}" policy Editor iam-groups "" ""

# Only the provider of custom credentials needs this, to read and complete tasks.
[[ -z ${SECRETS_TASKS:-} ]] || policy SecretTaskUpdater,SecretsReader secrets-manager "$SECRETS_TASKS"

# To grant a role, latchkey must administer the instance and hold the role.
# shellcheck disable=SC2153 # GRANTS comes from the environment
IFS=';' read -r -a grants <<<"${GRANTS:-}"
for grant in "${grants[@]}"; do
	[[ -n $grant ]] || continue
	IFS=: read -r service instance roles <<<"$grant"
	[[ -n $service && -n $roles ]] || die "GRANTS: '$grant' is not service:instance:role,role"
	policy "Administrator,$roles" "$service" "$instance"
done

say "trusted profile $PROFILE: done. Set in the config: identity: {profile: $PROFILE}"
