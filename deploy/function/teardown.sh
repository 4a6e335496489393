#!/usr/bin/env bash
# Deletes everything that function/deploy.sh created. Service IDs and keys stay.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

tools
select_project
drop subscription cron "$TICK"
drop_check
drop function "$NAME"
drop secret "$SECRET"
drop configmap "$CONFIG_MAP"
