# Event Notifications, if event_notifications_crn is set: new Code Engine projects and, with
# expiring_secrets_manager_crn, expiring secrets.

locals {
  notified         = var.event_notifications_crn != null
  notifications    = local.notified ? split(":", var.event_notifications_crn)[7] : ""
  reports          = local.notified && var.expiring_secrets_manager_crn != null
  endpoint         = one(concat(ibm_code_engine_function.this[*].endpoint, ibm_code_engine_app.this[*].endpoint))
  sources          = flatten(data.ibm_en_sources.this[*].sources)
  lifecycle_source = one([for s in local.sources : s.id if s.type == "resource-lifecycle-events"])
  secrets_source   = one([for s in local.sources : s.id if s.name == "${var.name}-secrets-manager"])
}

resource "ibm_iam_authorization_policy" "secrets" {
  count                       = local.reports ? 1 : 0
  source_service_name         = "secrets-manager"
  source_resource_instance_id = split(":", var.expiring_secrets_manager_crn)[7]
  target_service_name         = "event-notifications"
  target_resource_instance_id = local.notifications
  roles                       = ["Event Source Manager"]
}

resource "ibm_sm_en_registration" "this" {
  count                            = local.reports ? 1 : 0
  instance_id                      = split(":", var.expiring_secrets_manager_crn)[7]
  region                           = split(":", var.expiring_secrets_manager_crn)[5]
  event_notifications_instance_crn = var.event_notifications_crn
  event_notifications_source_name  = "${var.name}-secrets-manager"
  depends_on                       = [ibm_iam_authorization_policy.secrets]
}

data "ibm_en_sources" "this" {
  count         = local.notified ? 1 : 0
  instance_guid = local.notifications
  depends_on    = [ibm_sm_en_registration.this]
}

resource "ibm_en_topic" "this" {
  count         = local.notified ? 1 : 0
  instance_guid = local.notifications
  name          = var.name
  description   = "For latchkey"

  # latchkey acts on few types of each source. A filter here saves calls.
  sources {
    id = local.lifecycle_source
    rules {
      enabled             = true
      event_type_filter   = "$.*"
      notification_filter = var.lifecycle_filter
    }
  }
  dynamic "sources" {
    for_each = local.reports ? [local.secrets_source] : []
    content {
      id = sources.value
      rules {
        enabled           = true
        event_type_filter = "$.*"
      }
    }
  }
}

# Event Notifications' page on this destination requires both roles.
resource "ibm_iam_authorization_policy" "notifications" {
  count                       = local.notified && var.form == "job" ? 1 : 0
  source_service_name         = "event-notifications"
  source_resource_instance_id = local.notifications
  target_service_name         = "codeengine"
  target_resource_instance_id = var.project_id
  roles                       = ["Viewer", "Writer"]
}

resource "ibm_en_destination_ce" "this" {
  count         = local.notified ? 1 : 0
  instance_guid = local.notifications
  name          = var.name
  type          = "ibmce"
  description   = "latchkey"
  config {
    params {
      type              = var.form == "job" ? "job" : "application"
      job_name          = var.form == "job" ? var.name : null
      project_crn       = var.form == "job" ? data.ibm_code_engine_project.this.crn : null
      url               = var.form == "job" ? null : local.endpoint
      verb              = var.form == "job" ? null : "POST"
      custom_headers    = var.form == "job" || var.events_token == null ? null : { Authorization = "Bearer ${var.events_token}" }
      sensitive_headers = var.form == "job" || var.events_token == null ? null : ["Authorization"]
    }
  }
  depends_on = [ibm_iam_authorization_policy.notifications]
}

resource "ibm_en_subscription_ce" "this" {
  count          = local.notified ? 1 : 0
  instance_guid  = local.notifications
  name           = var.name
  destination_id = ibm_en_destination_ce.this[0].destination_id
  topic_id       = ibm_en_topic.this[0].topic_id
}
