#!/usr/bin/env bash
# Creates the trusted profile that one form of latchkey logs in with, and its
# policies. deploy/iam/README.md has the reason for each.
#   FORM=function|app|job   the one component that the profile trusts
#   CONFIG                  the config, whose roles it grants: latchkey validate --needs
#   CODE_ENGINE_RESOURCE_GROUP_ID, or CODE_ENGINE_PROJECTS='GUID;…', or CODE_ENGINE=all
#   MANAGED_SERVICE_IDS='ServiceId-…;…'     further service IDs, which an earlier login of latchkey created
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need FORM CONFIG
tools
config_file "$CONFIG"
[[ ${CODE_ENGINE:-all} == all ]] || die "CODE_ENGINE must be all"
# Roles on Code Engine projects, which the config does not limit: these variables do.
PROJECT_ROLE='.service == "codeengine" and .attribute == null and (.role == "Viewer" or .role == "Writer")'
[[ -n ${CODE_ENGINE:-}${CODE_ENGINE_RESOURCE_GROUP_ID:-}${CODE_ENGINE_PROJECTS:-} ]] || ! jq -e "any(.grants[]; $PROJECT_ROLE)" <<<"$NEEDS" >/dev/null ||
	die "set CODE_ENGINE_RESOURCE_GROUP_ID or CODE_ENGINE_PROJECTS to the projects that latchkey writes to; CODE_ENGINE=all is every project"
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

# policy ROLES SERVICE [ATTRIBUTE VALUE] creates or updates the one policy for this service
# and this part of it. SERVICE is empty if the attribute is serviceType.
policy() {
	local roles=$1 service=$2 attribute=${3:-} value=${4:-} id flags
	flags=(--roles "$roles")
	[[ -z $service ]] || flags+=(--service-name "$service")
	case $attribute in
	"") ;;
	serviceInstance) flags+=(--service-instance "$value") ;;
	resourceGroupId) flags+=(--resource-group-id "$value") ;;
	resource) flags+=(--resource "$value") ;;
	*) flags+=(--attributes "$attribute=$value") ;;
	esac
	id=$(ibmcloud iam trusted-profile-policies "$PROFILE" --output JSON |
		jq -r --arg service "$service" --arg attribute "$attribute" --arg value "$value" '
			({serviceName: $service, ($attribute): $value} | with_entries(select(.key != "" and .value != ""))) as $want |
			[.[]? | select(([.resources[]?.attributes[]? | select(.name != "accountId") | {(.name): .value}] | add) == $want) | .id][0] // ""')
	if [[ -n $id ]]; then
		say "policy ${service:-$attribute} ${value:-everything}: update to $roles"
		ibmcloud iam trusted-profile-policy-update "$PROFILE" "$id" "${flags[@]}" >/dev/null
	else
		say "policy ${service:-$attribute} ${value:-everything}: create with $roles"
		ibmcloud iam trusted-profile-policy-create "$PROFILE" "${flags[@]}" >/dev/null
	fi
}

# One policy for each service and part of it, with all of its roles.
while IFS='|' read -r service attribute value roles; do
	if [[ $service == iam-identity && -z $attribute ]]; then roles=${IDENTITY_ROLES:-$roles}; fi
	policy "$roles" "$service" "$attribute" "$value"
done < <(jq -r --arg all "${CODE_ENGINE:-}" --arg group "${CODE_ENGINE_RESOURCE_GROUP_ID:-}" --arg projects "${CODE_ENGINE_PROJECTS:-}" --arg ids "${MANAGED_SERVICE_IDS:-}" '
	def items: split(";")[] | select(. != "");
	[(if $all == "" then empty else {} end), ($group | items | {attribute: "resourceGroupId", value: .}), ($projects | items | {attribute: "serviceInstance", value: .})] as $parts
	| [(.grants[] | if '"$PROJECT_ROLE"' then . + $parts[] else . end),
		($ids | items | {service: "iam-identity", role: "Administrator", attribute: "resource", value: .})]
	| group_by([.service, .attribute, .value])[]
	| [.[0].service, .[0].attribute // "", .[0].value // "", (map(.role) | unique | join(","))] | join("|")' <<<"$NEEDS")

say "trusted profile $PROFILE: done. A config logs in with it by identity: {profile: $PROFILE}"
