#!/usr/bin/env bash
# Deletes everything that job/deploy.sh created. Service IDs and keys stay.
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
