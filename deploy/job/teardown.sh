#!/usr/bin/env bash
# Deletes everything that job/deploy.sh and job/provider.sh created. Service IDs
# and keys stay.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

tools
select_project
drop subscription kafka "$AUDIT"
drop subscription cron "$TICK"
drop_check
drop job "$NAME"
drop secret "$KAFKA_SECRET"
drop secret "$SECRET"
drop secret "$FILES"
drop configmap "$CONFIG_MAP"
drop job "$NAME-provider"
drop secret "$NAME-provider-secrets"
drop secret "$NAME-provider-files"
drop configmap "$NAME-provider-config"
