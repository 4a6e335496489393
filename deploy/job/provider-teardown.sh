#!/usr/bin/env bash
# Deletes everything that job/provider.sh created. The authorization for Secrets Manager,
# service IDs and keys stay.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

tools
select_project
drop job "$NAME-provider"
drop secret "$NAME-provider-secrets"
drop secret "$NAME-provider-files"
drop configmap "$NAME-provider-config"
