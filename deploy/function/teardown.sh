#!/usr/bin/env bash
# Removes what function/deploy.sh made. Service IDs and keys stay.
# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

tools
select_project
drop subscription cron "$TICK"
drop function "$NAME"
drop secret "$SECRET"
drop configmap "$CONFIG_MAP"
