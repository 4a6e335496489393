#!/usr/bin/env bash
# shellcheck disable=SC2016 # eval and jq expand the single-quoted text
# Checks the deploy scripts without an account. It runs shellcheck, and then each
# script against a stand-in for IBM Cloud's CLI that rejects undocumented calls
# (testdata/ibmcloud). It shows that the scripts follow the documentation, not
# that IBM Cloud does.
set -euo pipefail
umask 077
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

passed=0 failed=0
ok() { # DESCRIPTION COMMAND...
	local what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		printf 'ok    %s\n' "$what"
	else
		failed=$((failed + 1))
		printf 'FAIL  %s\n' "$what"
	fi
}
no() { ! "$@"; }
json() { jq -e "$@" >/dev/null; }

work=$(mktemp -d) started=()
trap '((${#started[@]} == 0)) || kill "${started[@]}"; rm -rf "$work"' EXIT

# --- Tools

for tool in shellcheck jq curl; do
	command -v "$tool" >/dev/null && continue
	if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
		{ apt-get install -yq "$tool" || { apt-get update -q && apt-get install -yq "$tool"; }; } >"$work/apt.log" 2>&1 || tail -3 "$work/apt.log"
	fi
	command -v "$tool" >/dev/null || {
		echo "FAIL  $tool is not installed, and this is not root on Debian"
		echo "0 passed, 1 failed"
		exit 1
	}
done

# --- Shell

mapfile -t scripts < <(cd "$here" && find . -name '*.sh' | sort && echo ./testdata/ibmcloud)
for script in "${scripts[@]}"; do
	ok "shellcheck ${script#./}" shellcheck -x -P SCRIPTDIR "$here/$script"
	ok "no trace in ${script#./}" no grep -nE '^[^#]*(\bset +-[a-wyz]*x|xtrace)' "$here/$script"
done

# --- The environment of the scripts

latchkey=${LATCHKEY:-$root/bin/latchkey}
events_token='events-token-5Zq8vT'
outcomes_token='outcomes-token-4Hn1sD'
api_key='api-key-R2k7Wm'
kafka_password='kafka-password-9bLx3C'
printf '%s\n' "$events_token" >"$work/events-token"
printf '%s\n' "$outcomes_token" >"$work/outcomes-token"
printf '%s\n' "$api_key" >"$work/api-key"
printf '%s\n' "$kafka_password" >"$work/kafka-password"
# The other variables and files that examples/full.yaml names.
tickets_secret=whsec_dGlja2V0cy1zZWNyZXQtOEpkMkxxLTAxMjM0NTY3ODk=
kubeconfig='apiVersion: v1
kind: Config
current-context: east
clusters: [{name: east, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: latchkey, user: {token: kubeconfig-6Ty1Wc}}]
contexts: [{name: east, context: {cluster: east, user: latchkey}}]'
mkdir "$work/files"
printf '%s\n' "$tickets_secret" >"$work/tickets-secret"
printf '%s\n' "$kubeconfig" >"$work/kubeconfig-east"
for name in scanner leaks vault-secret-id; do printf 'mounted-%s-3Vb9\n' "$name" >"$work/files/$name"; done
printf '%s\n' "${kubeconfig/kubeconfig-6Ty1Wc/mounted-kubeconfig-3Vb9}" >"$work/files/kubeconfig"
# A function mounts no files.
cat >"$work/function.yaml" <<'YAML'
version: 1
owner: example
identity: {profile: latchkey}
regions: [eu-de]
events: {auth: {bearerEnv: EVENTS_TOKEN}, allow: [{verbs: [rotate], credentials: ["*"]}]}
outcomes: [{url: "https://example.com/outcomes", bearerEnv: OUTCOMES_TOKEN}]
credentials:
- name: logs-sender
  serviceID: {name: logs-sender, policies: [{service: logs, roles: [Sender]}]}
  stores:
  - codeEngine: {project: team-a, region: eu-de, secret: logs-sender, entry: IAM_API_KEY}
YAML

mkdir -p "$work/bin" "$work/bundle" "$work/tmp"
ln -s "$here/testdata/ibmcloud" "$work/bin/ibmcloud"
touch "$work/bundle/main.js" "$work/bundle/latchkey"

en_crn=crn:v1:bluemix:public:event-notifications:eu-de:a/5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21:33333333-2222-4333-8444-555555555555::
sm_crn=crn:v1:bluemix:public:secrets-manager:eu-de:a/5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21:44444444-2222-4333-8444-555555555555::
es_crn=crn:v1:bluemix:public:messagehub:eu-de:a/5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21:55555555-2222-4333-8444-555555555555::
logs=7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10
base=(
	"PATH=$work/bin:$PATH" "HOME=$work" "TMPDIR=$work/tmp"
	PROJECT=tools REGION=eu-de RESOURCE_GROUP=Default "CONFIG=$here/examples/full.yaml" "OUTCOMES_TOKEN_FILE=$work/outcomes-token"
	"LATCHKEY=$latchkey" "EVENTS_TOKEN_OLD_FILE=$work/events-token" "TICKETS_SECRET_FILE=$work/tickets-secret"
	"TICKETS_SECRET_OLD_FILE=$work/tickets-secret" "KUBECONFIG_EAST_FILE=$work/kubeconfig-east" "SECRET_FILES=$work/files"
)

# world NAME starts with an empty state.
world() {
	state=$work/$1
	mkdir -p "$state"
}

# script FILE [VARIABLE=value...] runs a script with only these variables.
# BASH_FLAGS holds flags for bash, arguments those of the script.
arguments=()
script() {
	local file=$1
	shift
	# shellcheck disable=SC2086 # several flags
	env -i "${base[@]}" "FAKE_STATE=$state" "$@" bash ${BASH_FLAGS:-} "$here/$file" "${arguments[@]}" >>"$state/output.log" 2>&1
}

# count N PATTERN succeeds if N calls begin with PATTERN (an extended expression).
count() {
	local n
	n=$(grep -cE "^$2" "$state/calls.log" || true)
	[[ $n == "$1" ]] || {
		echo "      $n calls of $2, want $1"
		return 1
	}
}
called() { grep -qE "^$1" "$state/calls.log" || { echo "      no call of $1"; return 1; }; }
gone() { [[ -z $(ls -A "$state/$1" 2>/dev/null) ]] || { echo "      $1 left: $(ls "$state/$1")"; return 1; }; }
show() { tail -5 "$state/output.log" | sed 's/^/      /'; }
runs() { script "$@" || { show; return 1; }; }

# quiet succeeds if no secret, plain or in base64, is in arguments, output or the
# environment of child processes.
quiet() {
	local value file bad=0
	for value in "$events_token" "$outcomes_token" "$api_key" "$kafka_password" "$tickets_secret" kubeconfig-6Ty1Wc mounted-; do
		for file in calls.log environment.log output.log; do
			if grep -qF -e "$value" -e "$(printf %s "$value" | base64)" "$state/$file" 2>/dev/null; then
				echo "      a secret in $file"
				bad=1
			fi
		done
	done
	return "$bad"
}
swept() { [[ -z $(ls -A "$work/tmp") ]] || { echo "      left: $(ls "$work/tmp")"; return 1; }; }
holds() { grep -qxF "$2" "$state/$1"; }

holds_all() {
	local name
	for name in EVENTS_TOKEN EVENTS_TOKEN_OLD; do holds secret-latchkey-secrets.env "$name=$events_token" || return 1; done
	for name in TICKETS_SECRET TICKETS_SECRET_OLD; do holds secret-latchkey-secrets.env "$name=$tickets_secret" || return 1; done
	cmp -s "$work/kubeconfig-east" "$state/secret-latchkey-secrets-KUBECONFIG_EAST"
}

tokens=("EVENTS_TOKEN_FILE=$work/events-token")
kafka=("KAFKA_BROKERS=b0.example:9093,b1.example:9093" KAFKA_TOPIC=audit "KAFKA_PASSWORD_FILE=$work/kafka-password")

# --- The stand-in rejects undocumented calls

world fake
fake() { FAKE_STATE=$state "$here/testdata/ibmcloud" "$@" >/dev/null 2>&1; }
ok "the stand-in rejects an unknown subcommand" no fake ce function deploy --name a
ok "the stand-in rejects an undocumented flag" no fake ce configmap get --name a --colour
ok "the stand-in rejects a flag of another command" no fake ce subscription kafka update --name a --consumer-group g
ok "the stand-in rejects a missing required flag" no fake ce configmap create --from-file a="$work/events-token"
ok "the stand-in rejects a flag without its value" no fake ce configmap get --name --quiet
ok "the stand-in rejects a stray argument" no fake ce configmap get --name a b
ok "the stand-in rejects a secret as an argument" no fake ce secret create --name a --from-literal k=v
ok "the stand-in rejects a get of a missing entity" no fake ce configmap get --name a
ok "the stand-in accepts a documented call" fake ce configmap create --name a --from-file "k=$work/events-token"
ok "the stand-in rejects to create twice" no fake ce configmap create --name a --from-file "k=$work/events-token"
ok "the stand-in rejects Kafka for a function" no fake ce subscription kafka create --name a --destination a --destination-type function --topic t --broker b

# --- The three forms, each deployed twice and removed twice

world function
run=("${tokens[@]}" "BUNDLE=$work/bundle" "CONFIG=$work/function.yaml")
ok "function: deploy" runs function/deploy.sh "${run[@]}"
ok "function: created with Node 24, small, 120 s, trusted profile" called \
	'ce function create --name latchkey --runtime nodejs-24 --build-source .* --cpu 0.25 --memory 1G --maxexecutiontime 120 --trusted-profiles-enabled=true '
ok "function: config and secret by reference" called 'ce function create .*--env-from-configmap latchkey-config --env-from-secret latchkey-secrets'
ok "function: config map holds LATCHKEY_CONFIG" called 'ce configmap create --name latchkey-config --from-file LATCHKEY_CONFIG='
ok "function: timer with an explicit schedule" called 'ce subscription cron create --name latchkey-tick --destination latchkey --destination-type function --schedule '
ok "function: deploy again" runs function/deploy.sh "${run[@]}"
creates_once() { # KIND... : one create, one update of each
	local kind
	for kind in "$@"; do
		count 1 "ce $kind create " && count 1 "ce $kind update " || return 1
	done
}
ok "function: the second time updates" creates_once configmap secret function 'subscription cron'
ok "function: the secret has the token" holds secret-latchkey-secrets.env "EVENTS_TOKEN=$events_token"
ok "function: doctor runs with its identity, config and secrets" called 'ce job create --name latchkey-check --build-source .* --argument doctor .*--retrylimit 0 --trusted-profiles-enabled=true --mount-configmap /etc/latchkey=latchkey-config --env LATCHKEY_CONFIG_FILE=/etc/latchkey/LATCHKEY_CONFIG --env-from-secret latchkey-secrets'
ok "function: doctor, then a first sweep" eval 'called "ce jobrun submit --job latchkey-check --name latchkey-doctor --argument=doctor " && called "ce jobrun submit --job latchkey-check --name latchkey-sweep --argument=sweep "'
ok "function: what they saw is said" eval 'grep -q "^  12 ok, 0 failed" "$state/output.log" && grep -qx "first sweep: 2 credentials: 2 published" "$state/output.log"'
ok "function: no secret in arguments, output or environment" quiet
ok "function: teardown" runs function/teardown.sh
for kind in configmap secret function cron job jobrun; do ok "function: no $kind left" gone "$kind"; done
ok "function: teardown again" runs function/teardown.sh
ok "function: no temporary file left" swept

for form in app job; do
	component=$form
	[[ $form == job ]] || component=application
	world "$form"
	run=("${tokens[@]}" "${kafka[@]}")
	ok "$form: deploy" runs "$form/deploy.sh" "${run[@]}"
	ok "$form: built from source, trusted profile" called "ce $component create --name latchkey --build-source .* --build-dockerfile function/Dockerfile .*--trusted-profiles-enabled=true "
	ok "$form: config mounted" called "ce $component create .*--mount-configmap /etc/latchkey=latchkey-config --env LATCHKEY_CONFIG_FILE=/etc/latchkey/latchkey.yaml"
	ok "$form: CPU and memory are set" called "ce $component create .*--cpu 0.25 --memory 0.5G"
	ok "$form: timer" called "ce subscription cron create --name latchkey-tick --destination latchkey --destination-type $form --schedule "
	ok "$form: Kafka with a secret by name, every broker" called \
		"ce subscription kafka create --name latchkey-audit --broker b0.example:9093 --broker b1.example:9093 --topic audit --secret latchkey-kafka --destination latchkey --destination-type $form --consumer-group latchkey"
	ok "$form: deploy again" runs "$form/deploy.sh" "${run[@]}"
	ok "$form: every variable that the config needs is in the secret" holds_all
	ok "$form: the files that the config needs are mounted" called "ce $component create .*--mount-secret /run/secrets=latchkey-files"
	ok "$form: each file is in its secret" eval 'cmp -s "$work/files/scanner" "$state/secret-latchkey-files-scanner" && cmp -s "$work/files/vault-secret-id" "$state/secret-latchkey-files-vault-secret-id"'
	ok "$form: the second time updates" creates_once configmap "$component" 'subscription cron' 'subscription kafka'
	ok "$form: three secrets made once, updated once" eval 'count 3 "ce secret create " && count 3 "ce secret update "'
	ok "$form: the Kafka secret has user and password" eval 'holds secret-latchkey-kafka.env username=token && holds secret-latchkey-kafka.env "password=$kafka_password"'
	ok "$form: no secret in arguments, output or environment" quiet
	ok "$form: teardown" runs "$form/teardown.sh"
	for kind in configmap secret "$component" cron kafka job jobrun; do ok "$form: no $kind left" gone "$kind"; done
	ok "$form: teardown again" runs "$form/teardown.sh"
	ok "$form: no temporary file left" swept
done
ok "job: retries and its command" called 'ce job create .*--argument job .*--maxexecutiontime 900 --retrylimit 3 '

world image
ok "app: a ready image and its registry secret" runs app/deploy.sh "${tokens[@]}" IMAGE=registry.example/latchkey:1 REGISTRY_SECRET=registry
ok "app: a ready image is not built" eval 'called "ce application create --name latchkey --image registry.example/latchkey:1 --registry-secret registry " && no grep -q build-source "$state/calls.log"'
ok "app: doctor runs in the same image, with the files" called 'ce job create --name latchkey-check --image registry.example/latchkey:1 --registry-secret registry --argument doctor .*--mount-configmap /etc/latchkey=latchkey-config .*--mount-secret /run/secrets=latchkey-files'
ok "app: without brokers no Kafka subscription" count 0 'ce subscription kafka create'
ok "app: a config that needs less" runs app/deploy.sh "${tokens[@]}" "CONFIG=$work/function.yaml"
ok "app: a variable that it no longer needs is removed" called 'ce secret update --name latchkey-secrets .*--rm TICKETS_SECRET '
ok "app: one that it needs stays" no grep -q -e '--rm EVENTS_TOKEN ' "$state/calls.log"
ok "job: an array" runs job/deploy.sh "${tokens[@]}" NAME=sweeper ARRAY_SIZE=4
ok "job: as indices" called 'ce job create --name sweeper .*--array-indices 0-3 '

world provider
provider=("${tokens[@]}" "SECRETS_MANAGER_CRN=$sm_crn")
for run in first second; do
	ok "provider: $run run" runs job/provider.sh "${provider[@]}"
done
ok "provider: one job, no retries, the parameters and credentials of its secrets" called 'ce job create --name latchkey-provider .*--env SMIN_SERVICE_ID=.*--env SMOUT_APIKEY=.*--maxexecutiontime 3000 --retrylimit 0 '
ok "provider: one authorization to start it" count 1 'iam authorization-policy-create secrets-manager codeengine '
ok "provider: rejected without one in the config" eval 'grep -v "^provider:" "$here/examples/full.yaml" >"$work/no-provider.yaml"; no script job/provider.sh "${provider[@]}" "CONFIG=$work/no-provider.yaml"'
ok "provider: its identity" runs iam/deploy.sh NAME=latchkey-provider PROFILE=latchkey FORM=job CODE_ENGINE_RESOURCE_GROUP_ID=group1
ok "provider: completes tasks of the instance in the config" called 'iam trusted-profile-policy-create latchkey --roles SecretTaskUpdater.*SecretsReader --service-name secrets-manager --service-instance c4a7e2f0-6d15-4b98-9e3a-7f20d1c8b546'
ok "provider: the files for its sinks have a secret that is removed, too" eval 'fake ce secret create --name latchkey-provider-files --from-file "a=$work/events-token"'
ok "provider: beside a function" runs function/deploy.sh "${tokens[@]}" "BUNDLE=$work/bundle" "CONFIG=$work/function.yaml"
ok "provider: removed" runs job/provider-teardown.sh
ok "provider: and the function, its timer, its check, its secrets and its config stay" eval 'for name in function/latchkey cron/latchkey-tick job/latchkey-check secret/latchkey-secrets configmap/latchkey-config; do [[ -f $state/$name ]] || exit 1; done'
ok "provider: removed again" runs job/provider-teardown.sh
ok "provider: the function removed" runs function/teardown.sh
for kind in job secret configmap; do ok "provider: no $kind left" gone "$kind"; done
ok "provider: no secret in arguments, output or environment" quiet

# --- Identity

world iam
# granted succeeds if the profile's policies are the roles that the config needs, and no more.
granted() { # CONFIG
	diff <("$latchkey" validate --config "$1" --needs | jq -S '[.grants[] | {r: .role, on: ({serviceName: .service, (.attribute // "x"): .value} | with_entries(select(.value | . != null and . != "")))}]
			| group_by(.on) | map({on: .[0].on, roles: (map(.r) | unique)})') \
		<(cat "$state"/policies-of-latchkey/* | jq -S -s '[.[] | {on: (.resources[0].attributes | map({(.name): .value}) | add), roles: (.roles | map(.display_name) | unique)}] | sort_by(.on)')
}
run=(FORM=function CODE_ENGINE=all)
ok "iam: deploy" runs iam/deploy.sh "${run[@]}"
ok "iam: the link names the component, in the Code Engine project" called \
	'iam trusted-profile-link-create latchkey --name latchkey-function --cr-type CE --link-crn crn:v1:bluemix:public:codeengine:.* --link-component-type function --link-component-name latchkey'
ok "iam: the job that runs doctor has the same identity" called 'iam trusted-profile-link-create latchkey --name latchkey-check .*--link-component-type job --link-component-name latchkey-check'
ok "iam: the policies are the roles that the config needs, and no more" granted "$here/examples/full.yaml"
ok "iam: the granted role and Administrator, on that instance" called "iam trusted-profile-policy-create latchkey --roles Administrator.*Sender --service-name logs --service-instance $logs"
ok "iam: a role on all services" called 'iam trusted-profile-policy-create latchkey --roles Administrator.*Viewer --attributes serviceType=service $'
ok "iam: deploy again" runs iam/deploy.sh "${run[@]}"
ok "iam: the same policies" granted "$here/examples/full.yaml"
made=$(grep -c '^iam trusted-profile-policy-create ' "$state/calls.log")
ok "iam: every policy is updated once" count "$made" "iam trusted-profile-policy-update "
ok "iam: nothing made twice" eval 'count 1 "iam trusted-profile-create " && count 2 "iam trusted-profile-link-create "'
ok "iam: another form is one more link" eval 'runs iam/deploy.sh "${run[@]}" FORM=app && called "iam trusted-profile-link-create latchkey --name latchkey-app .*--link-component-type application"'

world narrow
sed 's/{name: logs-sender, policies: .*/{name: logs-sender, accessGroups: [AccessGroupId-1, AccessGroupId-2]}/' "$work/function.yaml" >"$work/groups.yaml"
run=(FORM=function "CONFIG=$work/groups.yaml" CODE_ENGINE_RESOURCE_GROUP_ID=group1 "CODE_ENGINE_PROJECTS=project1;project2" MANAGED_SERVICE_IDS=ServiceId-1)
ok "iam: everything as narrow as it can be" runs iam/deploy.sh "${run[@]}"
ok "iam: Viewer and Service ID creator on IAM Identity" called 'iam trusted-profile-policy-create latchkey --roles Service.*ID.*creator.*Viewer --service-name iam-identity $'
ok "iam: Code Engine in one resource group" called 'iam trusted-profile-policy-create latchkey --roles Viewer.*Writer --service-name codeengine --resource-group-id group1 $'
ok "iam: Code Engine in one project" called 'iam trusted-profile-policy-create latchkey --roles Viewer.*Writer --service-name codeengine --service-instance project2 $'
ok "iam: one access group" called 'iam trusted-profile-policy-create latchkey --roles Editor --service-name iam-groups --resource AccessGroupId-2 $'
ok "iam: Administrator on one service ID" called 'iam trusted-profile-policy-create latchkey --roles Administrator --service-name iam-identity --resource ServiceId-1 $'
ok "iam: the narrow policies again" runs iam/deploy.sh "${run[@]}"
ok "iam: no narrow policy made twice" count 8 "iam trusted-profile-policy-create "
ok "iam: other roles on IAM Identity" eval 'runs iam/deploy.sh "${run[@]}" IDENTITY_ROLES=Viewer,Editor && called "iam trusted-profile-policy-update latchkey .* --roles Viewer.*Editor --service-name iam-identity"'
ok "iam: every project must be asked for" no script iam/deploy.sh FORM=app
ok "iam: an unknown form is rejected" no script iam/deploy.sh FORM=lambda CODE_ENGINE=all
ok "iam: a config with faults is rejected" no script iam/deploy.sh FORM=app CODE_ENGINE=all "CONFIG=$here/lib.sh"
ok "iam: teardown" runs iam/teardown.sh
ok "iam: no profile left" gone profile
ok "iam: teardown again" runs iam/teardown.sh

# --- Event Notifications

for form in function app job; do
	world "notifications-$form"
	ok "notifications to $form: the form first" runs "$form/deploy.sh" "${tokens[@]}" "BUNDLE=$work/bundle" "CONFIG=$work/function.yaml"
	run=("FORM=$form" "EVENT_NOTIFICATIONS_CRN=$en_crn" "SECRETS_MANAGER_CRN=$sm_crn")
	[[ $form == job ]] || run+=("${tokens[@]}")
	ok "notifications to $form: deploy" runs notifications/deploy.sh "${run[@]}"
	ok "notifications to $form: lifecycle source enabled" called 'event-notifications source-update --id .* --enabled=true '
	ok "notifications to $form: Secrets Manager registered" called 'secrets-manager notifications-registration-create '
	ok "notifications to $form: two sources on the topic" called 'event-notifications topic-create .*rules.*rules'
	ok "notifications to $form: the config comes from a file" called 'event-notifications destination-create .*--config=@'
	if [[ $form == job ]]; then
		ok "notifications to job: job and project" json '.params == {type: "job", job_name: "latchkey", project_crn: .params.project_crn} and (.params.project_crn | test(":codeengine:"))' "$state/destination.json"
		ok "notifications to job: Viewer and Writer" called 'iam authorization-policy-create event-notifications codeengine Writer.*Viewer '
	else
		ok "notifications to $form: posts with the token, marked sensitive" json --arg t "Bearer $events_token" '.params | .type == "application" and .verb == "post" and (.url | startswith("https://latchkey."))
			and .custom_headers == {Authorization: $t} and .sensitive_headers == ["Authorization"]' "$state/destination.json"
	fi
	ok "notifications to $form: deploy again" runs notifications/deploy.sh "${run[@]}"
	ok "notifications to $form: nothing made twice" eval 'count 1 "event-notifications topic-create" && count 1 "event-notifications destination-create" && count 1 "event-notifications subscription-create" && count 1 "secrets-manager notifications-registration-create" && count 1 "event-notifications destination-update"'
	ok "notifications to $form: no secret in arguments, output or environment" quiet
	ok "notifications to $form: teardown" runs notifications/teardown.sh "EVENT_NOTIFICATIONS_CRN=$en_crn"
	for kind in topics destinations subscriptions; do ok "notifications to $form: no $kind left" gone "$kind"; done
	ok "notifications to $form: teardown again" runs notifications/teardown.sh "EVENT_NOTIFICATIONS_CRN=$en_crn"
	ok "notifications to $form: no temporary file left" swept
done

# --- Audit route

world audit
run=("EVENT_STREAMS_CRN=$es_crn" "KAFKA_BROKERS=b0.example:9093,b1.example:9093" KAFKA_TOPIC=audit "AUDIT_LOCATIONS=eu-de,global")
ok "audit: deploy" runs audit/deploy.sh "${run[@]}"
ok "audit: the target has no API key" called 'atracker target create --name latchkey-audit --type event_streams .*--service-to-service-enabled TRUE'
ok "audit: the route names the locations" called 'atracker route create --name latchkey-audit --rules .*eu-de.*global'
ok "audit: deploy again" runs audit/deploy.sh "${run[@]}"
ok "audit: nothing made twice" eval 'count 1 "atracker target create" && count 1 "atracker target update" && count 1 "atracker route create" && count 1 "atracker route update" && count 1 "iam authorization-policy-create"'
ok "audit: teardown" runs audit/teardown.sh
for kind in aroute atarget; do ok "audit: no ${kind#a} left" gone "$kind"; done
ok "audit: teardown again" runs audit/teardown.sh

# --- Missing values are named, and no secret leaks

world missing
says() { # PATTERN SCRIPT VARIABLE...: the script fails with this message
	local pattern=$1
	shift
	if script "$@" || ! grep -qE "$pattern" "$state/output.log"; then
		show
		return 1
	fi
}
ok "missing variables are named" says 'set CONFIG first' function/deploy.sh CONFIG=
ok "a missing project is named" says 'set PROJECT RESOURCE_GROUP first' app/deploy.sh "${tokens[@]}" PROJECT= RESOURCE_GROUP=
ok "a missing bundle names the fix" says 'run make bundle' function/deploy.sh "${tokens[@]}" BUNDLE=/nowhere "CONFIG=$work/function.yaml"
ok "a function can't mount files" says 'needs a variable for hooks.leaks.*: a function can.t mount /run/secrets/leaks' function/deploy.sh "${tokens[@]}" "BUNDLE=$work/bundle"
ok "all that is missing is listed at once" eval 'says "needs TICKETS_SECRET or TICKETS_SECRET_FILE, for hooks.tickets" app/deploy.sh TICKETS_SECRET_FILE= SECRET_FILES= &&
	grep -q "needs EVENTS_TOKEN or EVENTS_TOKEN_FILE" "$state/output.log" && grep -q "needs the file kubeconfig in the directory SECRET_FILES" "$state/output.log"'
ok "and nothing was changed" no grep -qE "^ce (secret|configmap|application) (create|update)" "$state/calls.log"
ok "without the program the fix is named" says 'run make build' app/deploy.sh "${tokens[@]}" LATCHKEY=/nowhere
ok "a token that the config needs is named" says 'the config needs EVENTS_TOKEN' job/deploy.sh
ok "the token of a sink is named" says 'the config needs OUTCOMES_TOKEN' job/deploy.sh "${tokens[@]}" OUTCOMES_TOKEN_FILE=
ok "a variable and a file that differ are rejected" says 'EVENTS_TOKEN and the file that EVENTS_TOKEN_FILE names differ' job/deploy.sh "${tokens[@]}" "EVENTS_TOKEN=another-token-1Rf6"
ok "a kubeconfig and a file that differ are rejected" says 'KUBECONFIG_EAST and the file that KUBECONFIG_EAST_FILE names differ' job/deploy.sh "${tokens[@]}" KUBECONFIG_EAST=x
ok "Kafka needs a password and a topic" eval 'says "KAFKA_BROKERS needs KAFKA_PASSWORD or KAFKA_PASSWORD_FILE" app/deploy.sh "${tokens[@]}" KAFKA_BROKERS=b0.example:9093 && grep -q "KAFKA_BROKERS needs KAFKA_TOPIC" "$state/output.log"'
ok "a missing file with the password is named" says 'KAFKA_PASSWORD_FILE names no readable file' job/deploy.sh "${tokens[@]}" "${kafka[@]}" KAFKA_PASSWORD_FILE=/nowhere
ok "and nothing was changed by any of these" eval '[[ ! -e $state/secret && ! -e $state/configmap && ! -e $state/job && ! -e $state/application ]]'
ok "a variable that is equal to its file is no fault" runs job/deploy.sh "${tokens[@]}" "EVENTS_TOKEN=$events_token" NAME=equal
ok "an unreadable token file is named by its variable" says 'EVENTS_TOKEN_FILE names no readable file' job/deploy.sh EVENTS_TOKEN_FILE=/nowhere
ok "a token of two lines is rejected" says 'EVENTS_TOKEN must be one line' job/deploy.sh "EVENTS_TOKEN=$events_token"$'\n'"$events_token"
ok "a token inside of the checkout is rejected" says 'inside of the checkout' job/deploy.sh "EVENTS_TOKEN_FILE=$here/lib.sh"
ok "an invalid name is rejected" says 'NAME must be' job/deploy.sh "${tokens[@]}" 'NAME=a;b'
grep -v '^identity:' "$work/function.yaml" >"$work/no-profile.yaml"
printf 'version: 1\n' >"$work/faulty.yaml"
ok "a faulty config is rejected with its faults" says 'owner' job/deploy.sh "${tokens[@]}" "CONFIG=$work/faulty.yaml"
ok "a config without a profile is rejected" says 'deploy/iam creates one' job/deploy.sh "CONFIG=$work/no-profile.yaml"
for part in function app job iam audit notifications; do
	ok "$part: a teardown without a login fails" no script "$part/teardown.sh" FAKE_LOGGED_OUT=1 "EVENT_NOTIFICATIONS_CRN=$en_crn"
done
ok "no secret in arguments, output or environment" quiet

world doctor
ok "doctor: the timer is made even if a credential is blocked, since there are keys" eval 'says "some credentials need you" app/deploy.sh "${tokens[@]}" NAME=blocked "FAKE_SWEEP=2 credentials: 1 blocked, 1 published" && called "ce subscription cron create --name blocked-tick"'
: >"$state/calls.log"
ok "doctor: a missing right stops before the first sweep" says 'No key was made' app/deploy.sh "${tokens[@]}" "FAKE_DOCTOR=Writer on Code Engine"
ok "doctor: what is missing is shown" grep -q '^  FAIL  Writer on Code Engine' "$state/output.log"
ok "doctor: no sweep, and no timer that would sweep" no grep -qE 'argument=sweep|subscription cron create' "$state/calls.log"
ok "doctor: the same again after the fix" runs app/deploy.sh "${tokens[@]}"
ok "doctor: a blocked credential is an error" says 'some credentials need you' app/deploy.sh "${tokens[@]}" "FAKE_SWEEP=2 credentials: 1 blocked, 1 published"
ok "doctor: a sweep that says nothing is an error" says 'the first sweep did not end' app/deploy.sh "${tokens[@]}" "FAKE_SWEEP=panic"
: >"$state/calls.log"
ok "doctor: a job uses itself" eval 'runs job/deploy.sh "${tokens[@]}" NAME=sweeper ARRAY_SIZE=4 && called "ce jobrun submit --job sweeper --name sweeper-doctor --argument=doctor --array-indices 0 " && no grep -q sweeper-check "$state/calls.log"'
: >"$state/calls.log"
ok "doctor: CHECK=no skips both" eval 'runs app/deploy.sh "${tokens[@]}" CHECK=no && no grep -q "ce jobrun submit" "$state/calls.log"'

world fallback
run=("${tokens[@]}" "LATCHKEY_API_KEY_FILE=$work/api-key")
ok "fallback: an API key, with a warning" runs job/deploy.sh "${run[@]}" "CONFIG=$work/no-profile.yaml"
ok "fallback: no compute resource token" called 'ce job create .*--trusted-profiles-enabled=false'
ok "fallback: the warning" grep -q 'warning: latchkey uses a stored API key' "$state/output.log"
ok "fallback: the key is in the secret" holds secret-latchkey-secrets.env "IBMCLOUD_API_KEY=$api_key"
ok "fallback: no secret in arguments, output or environment" quiet
ok "fallback: a config with a profile uses no API key" eval 'runs job/deploy.sh "${run[@]}" NAME=other && grep -q "LATCHKEY_API_KEY is not used" "$state/output.log" && no grep -q IBMCLOUD_API_KEY "$state/secret-other-secrets.env" && called "ce job create --name other .*--trusted-profiles-enabled=true"'

world run
ok "run: a form" runs app/deploy.sh "${tokens[@]}"
arguments=(status -o wide)
ok "run: a command with the deployed identity" runs run.sh
ok "run: in the image that IMAGE names" eval 'runs run.sh IMAGE=registry.example/latchkey:2 && called "ce jobrun submit --job latchkey-check --name latchkey-status --image registry.example/latchkey:2 "'
ok "run: what it says" grep -qx '  latchkey status -o wide' "$state/output.log"
arguments=(plan)
ok "run: the plan of a new config" runs run.sh "NEW=$work/function.yaml"
ok "run: against the deployed one" grep -qx '  latchkey plan --against /etc/latchkey/latchkey.yaml' "$state/output.log"
ok "run: the new one comes from a config map" eval 'called "ce configmap create --name latchkey-new --from-file LATCHKEY_CONFIG=" && called "ce jobrun submit --job latchkey-check --name latchkey-plan --env-from-configmap latchkey-new "'
ok "run: with those of its variables that are set" eval 'called "ce jobrun submit .* --env-from-secret latchkey-new " && holds secret-latchkey-new.env "OUTCOMES_TOKEN=$outcomes_token"'
ok "run: a new config with faults is not run" no script run.sh "NEW=$work/faulty.yaml"
arguments=()
ok "run: nothing is left" eval 'gone jobrun/latchkey-plan && [[ ! -e $state/configmap/latchkey-new && ! -e $state/secret/latchkey-new ]]'
ok "run: a command is needed" no script run.sh

# --- The program starts from what was recorded, with hooks, Kubernetes, Vault and sinks

world started
"$latchkey" emulator --listen 127.0.0.1:0 >"$work/ready.json" 2>"$work/emulator.log" &
started+=($!)
await() { # FILE PATTERN: waits for a line of a program that was started, for a minute at most
	local i
	for ((i = 0; i < 600; i++)); do
		if grep -q "$2" "$1" 2>/dev/null; then return; fi
		sleep 0.1
	done
	echo "      no $2 in $1"
	return 1
}
ok "started: the emulator" await "$work/ready.json" '}$'
jq -r .apikey "$work/ready.json" >"$work/emulator-key"
mkdir "$work/mount"
sed "/^identity:/d; /caFile:/d; s#/run/secrets#$work/mount#" "$here/examples/full.yaml" >"$work/started.yaml"
ok "started: deploy with an API key of the emulator" runs app/deploy.sh "${tokens[@]}" "CONFIG=$work/started.yaml" "LATCHKEY_API_KEY_FILE=$work/emulator-key"
ok "started: the files are mounted where the config has them" called "ce application create .*--mount-secret $work/mount=latchkey-files"
mapfile -t variables <"$state/secret-latchkey-secrets.env"
variables+=("KUBECONFIG_EAST=$(<"$state/secret-latchkey-secrets-KUBECONFIG_EAST")" "LATCHKEY_CONFIG_FILE=$state/configmap-latchkey-config-latchkey.yaml")
for name in "$state"/secret-latchkey-files-*; do cp "$name" "$work/mount/${name##*/secret-latchkey-files-}"; done
env -i "${variables[@]}" "$latchkey" serve --listen 127.0.0.1:0 --endpoint "$(jq -r .url "$work/ready.json")" >"$state/serve.log" 2>&1 &
started+=($!)
ok "started: serve listens" await "$state/serve.log" '"serving"'
url=http://$(jq -rR 'fromjson? | select(.msg == "serving") | .address' "$state/serve.log")
answers() { # STATUS PATH [CURL-ARGUMENT...]
	local got
	got=$(curl -s -m 60 -o "$state/answer" -w '%{http_code}' "$url$2" "${@:3}") || true
	[[ $got == "$1" ]] || {
		echo "      $2 answers $got, not $1: $(head -c 300 "$state/answer")"
		return 1
	}
}
logged_in() { # waits until serve can log in
	local i
	for ((i = 0; i < 60; i++)); do
		if answers 204 /readyz >/dev/null; then return; fi
		sleep 1
	done
	answers 204 /readyz
}
ok "started: it logs in" logged_in
ok "started: it knows the token of the variable" answers 200 /metrics -H "Authorization: Bearer $events_token"
ok "started: and no other" answers 401 /metrics -H "Authorization: Bearer another-token-1Rf6"
ok "started: it knows the token of the file" answers 200 /metrics -H "Authorization: Bearer mounted-scanner-3Vb9"
ok "started: a hook knows the secret of its file" answers 204 /hooks/leaks -H 'Content-Type: application/json' -H 'X-Api-Key: mounted-leaks-3Vb9' -d '{"value": "x"}'
ok "started: a hook refuses what is not signed" answers 401 /hooks/tickets -H 'Content-Type: application/json' -d '{}'
ok "started: no secret in the log" eval 'for name in "$events_token" "$tickets_secret" mounted- kubeconfig-6Ty1Wc "$outcomes_token"; do no grep -qF -e "$name" "$state/serve.log" || exit 1; done'

# --- The guide: its commands in order, and what it says that they print

world guide
guide=$work/guide
mkdir -p "$guide/bin" "$guide/dist/function" "$work/.latchkey"
ln -s "$here" "$guide/deploy"
ln -s "$latchkey" "$guide/bin/latchkey"
cp "$work/bundle"/* "$guide/dist/function/"
printf '{"password": "%s", "kafka_brokers_sasl": ["b0.example:9093", "b1.example:9093"]}\n' "$kafka_password" >"$work/kafka.json"
mkdir "$guide/dist/release" && touch "$guide/dist/release/latchkey_1.0.0_image.tar"
# commands FROM TO prints the commands of these sections of deploy/README.md: all lines of a
# block, or only those after a prompt. Each is preceded by its number, which ends what the one
# before it printed, and followed by the lines that the guide shows, as comments.
commands() {
	awk -v from="$1" -v to="$2" '
		function flush(i, prompt, more, word) {
			for (i = 1; i <= n; i++) if (block[i] ~ /^\$ /) prompt = 1
			for (i = 1; i <= n; i++)
				if (!prompt || more || sub(/^\$ /, "", block[i])) {
					if (!more) printf "echo @@%d\n", ++number
					print block[i]
					if (match(block[i], /<<\047[A-Z]+\047$/)) word = substr(block[i], RSTART + 3, RLENGTH - 4)
					else if (block[i] == word) word = ""
					more = word != "" || block[i] ~ /[|\\]$/
				} else print "#= " block[i]
			n = 0
		}
		index($0, "##") == 1 { flush(); on = index($0, from) == 1 ? 1 : index($0, to) == 1 ? 0 : on; next }
		on && sub(/^    /, "") { block[++n] = $0; next }
		{ flush() }
		END { flush() }' "$here/README.md"
}
# follow FILE runs commands in one shell, with what can't be run here replaced.
follow() {
	{
		cat <<-'STUBS'
			kubectl() {
				case $1 in
				config) jq -n '{apiVersion: "v1", kind: "Config", "current-context": "c", clusters: [{name: "c", cluster: {server: "https://127.0.0.1:1"}}],
					users: [{name: "admin", user: {exec: {command: "ibmcloud"}}}], contexts: [{name: "c", context: {cluster: "c", user: "admin"}}]}' ;;
				get) printf kubeconfig-6Ty1Wc | base64 ;;
				apply) [[ $* != *"-f -"* ]] || cat >/dev/null ;;
				esac
			}
			vault() {
				case "$*" in
				*role_id*) echo 7d1c4a2e-0f3b-4c55-9a6e-2b8f1d7c3e90 ;;
				*secret_id*) echo mounted-secret-id-3Vb9 ;;
				"policy write"*) cat >/dev/null ;;
				esac
			}
		STUBS
		printf '%s\n' 'set -euo pipefail' 'make() { :; }' 'skopeo() { [[ $1 != inspect ]] || echo "sha256:$(printf "%064d" 0)"; }'
		[[ ! -f $state/exports ]] || cat "$state/exports"
		printf 'export FAKE_ENDPOINT=%q\n' "${url:-}"
		cat "$1"
		printf 'export -p >%q\n' "$state/exports"
	} >"$1.sh"
	(cd "$guide" && env -i "PATH=$work/bin:$PATH" "HOME=$work" "TMPDIR=$work/tmp" "FAKE_STATE=$state" bash "$1.sh") >"$1.out" 2>&1 ||
		{ tail -5 "$1.out" | sed 's/^/      /'; return 1; }
}
# as_shown FILE succeeds if each command printed the lines that the guide shows, in order.
as_shown() {
	local line number=0 want printed bad=0
	while IFS= read -r line; do
		case $line in
		'echo @@'*)
			number=${line#echo @@}
			mapfile -t printed < <(sed -n "/^@@$number\$/,/^@@$((number + 1))\$/p" "$1.out")
			;;
		'#= …') ;;
		'#= '*)
			want=${line#'#= '}
			want=${want//[/\\[}
			want="*${want//…/*}*"
			# shellcheck disable=SC2053 # a pattern
			while ((${#printed[@]})) && [[ ${printed[0]} != $want ]]; do printed=("${printed[@]:1}"); done
			((${#printed[@]})) || { bad=1 && echo "      the guide shows what command $number does not print: ${line#'#= '}"; }
			;;
		esac
	done <"$1"
	return "$bad"
}
commands "### 1. " "### 8. " >"$state/first"
url=
ok "guide: from nothing to the first key" follow "$state/first"
ok "guide: its commands print what it shows" as_shown "$state/first"
ok "guide: the project, the identity, the function and its check are there" eval 'for name in project/tools profile/latchkey function/latchkey job/latchkey-check cron/latchkey-tick; do [[ -f $state/$name ]] || exit 1; done'
ok "guide: the policies are the roles that its config needs" eval 'diff <(jq -s "[.[].roles[].display_name] | sort" "$state"/policies-of-latchkey/*) <("$latchkey" validate --config "$guide/latchkey.yaml" --needs | jq "[.grants[].role] | sort")'
ok "guide: a later shell gets what was exported, and no secret" eval 'grep -q "^declare -x IMAGE=" "$work/.latchkey/env" && grep -q "^declare -x EVENTS_TOKEN_FILE=" "$work/.latchkey/env" && grep -q "^declare -x PROJECT=" "$work/.latchkey/env" && no grep -qF "$(<"$work/.latchkey/events-token")" "$work/.latchkey/env"'
grep -v '^identity:' "$state/configmap-latchkey-config-LATCHKEY_CONFIG" >"$work/guide.yaml"
mapfile -t variables <"$state/secret-latchkey-secrets.env"
env -i "${variables[@]}" "IBMCLOUD_API_KEY=$(<"$work/emulator-key")" "LATCHKEY_CONFIG_FILE=$work/guide.yaml" "$latchkey" serve --listen 127.0.0.1:0 --endpoint "$(jq -r .url "$work/ready.json")" >"$state/serve.log" 2>&1 &
started+=($!)
ok "guide: the program starts with its config and secrets" await "$state/serve.log" '"serving"'
url=http://$(jq -rR 'fromjson? | select(.msg == "serving") | .address' "$state/serve.log")
ok "guide: it logs in" logged_in
commands "### 8. " "## Hooks" >"$state/event"
ok "guide: an event" follow "$state/event"
ok "guide: its answer is what it shows" as_shown "$state/event"
url=
commands "## Hooks" "## Provider" >"$state/all"
awk '/FUNCTION.hooks/ && !on {on = 1; print before} on {print} {before = $0}' "$state/all" >"$state/delivery"
head -n -$(($(wc -l <"$state/delivery"))) "$state/all" >"$state/stores"
ok "guide: hooks, Kubernetes and Vault" follow "$state/stores"
ok "guide: its commands print what it shows" as_shown "$state/stores"
ok "guide: each secret of the new config is deployed" eval 'for name in EVENTS_TOKEN TICKETS_TOKEN VAULT_SECRET_ID; do grep -q "^$name=" "$state/secret-latchkey-secrets.env" || exit 1; done; jq -e ".users[0].user.token == \"kubeconfig-6Ty1Wc\"" "$state/secret-latchkey-secrets-CLUSTER" >/dev/null'
grep -v '^identity:' "$state/configmap-latchkey-config-LATCHKEY_CONFIG" | sed 's#https://vault.example.com:8200#https://127.0.0.1:1#' >"$work/stores.yaml"
mapfile -t variables <"$state/secret-latchkey-secrets.env"
env -i "${variables[@]}" "CLUSTER=$(<"$state/secret-latchkey-secrets-CLUSTER")" "IBMCLOUD_API_KEY=$(<"$work/emulator-key")" "LATCHKEY_CONFIG_FILE=$work/stores.yaml" \
	"$latchkey" serve --listen 127.0.0.1:0 --endpoint "$(jq -r .url "$work/ready.json")" >"$state/hooks.log" 2>&1 &
started+=($!)
ok "guide: the program starts with them" await "$state/hooks.log" '"serving"'
url=http://$(jq -rR 'fromjson? | select(.msg == "serving") | .address' "$state/hooks.log")
ok "guide: it logs in again" logged_in
sed -i "s#FUNCTION=\"[^\"]*\"#FUNCTION=\"$url\"#" "$state/exports"
ok "guide: deliveries to the hook" follow "$state/delivery"
ok "guide: its answers are what it shows" as_shown "$state/delivery"
ok "guide: no secret in arguments, output or environment" quiet
url=
commands "## Provider" "## More" >"$state/provider"
ok "guide: the provider" follow "$state/provider"
ok "guide: its commands print what it shows" as_shown "$state/provider"
cp "$work/kafka.json" "$work/.latchkey/kafka.json"
commands "## More events" "## Variables" >"$state/later"
ok "guide: more events, an upgrade and the removal" follow "$state/later"
ok "guide: they print what it shows" as_shown "$state/later"
for kind in project registry profile function job cron configmap secret topics destinations subscriptions aroute atarget; do ok "guide: no $kind left" gone "$kind"; done

# The same with the other forms.
for form in app job; do
	world "guide-$form"
	rm -rf "$guide/latchkey.yaml" "$work/.latchkey" # which the guide writes
	kind=$form
	[[ $form == job ]] || kind=application
	commands "### 1. " "### 8. " | sed "s#FORM=function#FORM=$form#; s#deploy/function/#deploy/$form/#; s#function latchkey#$kind latchkey#; s#latchkey-function#latchkey-$form#; s#ce function get#ce $kind get#" >"$state/first"
	if [[ $form == job ]]; then
		sed -i '/^#= link latchkey-check/d; /^#= job latchkey-check/d; s/run of job latchkey-check/run of job latchkey/; /^#= job latchkey: done/s/For its address.*/…/' "$state/first"
	fi
	ok "guide, $form: from nothing to the first key" follow "$state/first"
	ok "guide, $form: its commands print what it shows" as_shown "$state/first"
	ok "guide, $form: it runs the image of the release" called "ce $kind create --name latchkey --image de.icr.io/my-namespace/latchkey@sha256:0.* --registry-secret registry "
done

# Each command of the CLI in the documents is one that the stand-in knows.
world documents
documented() {
	local line bad=0
	while IFS= read -r line; do
		line=$(sed -E 's/<[^>]*>|\$\([^)]*\)|\$\{?[A-Z_]+\}?|"\$[A-Z_]+"|…/x/g; s/ +#.*//; s/ (&&|[|;>2]).*//; s/\)$//' <<<"$line")
		eval "set -- ${line#ibmcloud }"
		FAKE_PARSE=1 fake "$@" || { bad=1 && echo "      $line"; }
	done < <(grep -hoE '^ +([$] )?(export [A-Z_]+=\$\()?ibmcloud .*' "$here"/*.md "$here"/*/README.md "$root"/docs/*.md "$root/README.md" | sed -E 's/^.*ibmcloud /ibmcloud /' | grep -vE ' ks |--help')
	return "$bad"
}
ok "documents: their commands and flags are documented" documented

world traced
BASH_FLAGS=-x
ok "bash -x: deploy with secrets in variables" runs app/deploy.sh "EVENTS_TOKEN=$events_token" "LATCHKEY_API_KEY=$api_key" \
	KAFKA_BROKERS=b0.example:9093 KAFKA_TOPIC=audit "KAFKA_PASSWORD=$kafka_password"
ok "bash -x: notifications" runs notifications/deploy.sh FORM=app "EVENT_NOTIFICATIONS_CRN=$en_crn" "EVENTS_TOKEN=$events_token"
BASH_FLAGS=
ok "bash -x: no secret in the trace, arguments or environment" quiet

# --- Examples

for event in "$here"/examples/events/*.json; do
	ok "event ${event##*/} is a CloudEvent in JSON" json 'all(if type == "array" then .[] else . end; .specversion == "1.0" and all(.id, .source, .type; type == "string" and . != ""))' "$event"
done
valid() { "$latchkey" validate --config "$1" >"$work/valid.log" 2>&1 || { sed 's/^/      /' "$work/valid.log"; return 1; }; }
for config in "$here"/examples/*.yaml; do
	ok "config ${config##*/} is valid" valid "$config"
done

printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
