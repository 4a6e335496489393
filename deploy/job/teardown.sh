#!/usr/bin/env bash
# Removes what job/deploy.sh and job/provider.sh made. Service IDs and keys stay.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

tools
select_project
drop subscription kafka "$AUDIT"
drop subscription cron "$TICK"
drop job "$NAME"
drop secret "$KAFKA_SECRET"
drop secret "$SECRET"
drop configmap "$CONFIG_MAP"
drop job "$NAME-provider"
drop secret "$NAME-provider-secrets"
drop configmap "$NAME-provider-config"
