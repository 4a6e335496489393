# latchkey as a function: config, identity, permissions and function. The provider
# has no resource for subscriptions, so the scripts create the timer.

data "ibm_code_engine_project" "this" {
  project_id = var.project_id
}

resource "ibm_code_engine_config_map" "config" {
  project_id = var.project_id
  name       = "${var.name}-config"
  data = {
    LATCHKEY_CONFIG = file(var.config_file)
  }
}

# --- Identity. deploy/iam/README.md has the reasons.

resource "ibm_iam_trusted_profile" "this" {
  name        = var.name
  description = "latchkey: creates, rotates and revokes service ID API keys"
}

resource "ibm_iam_trusted_profile_link" "this" {
  profile_id = ibm_iam_trusted_profile.this.id
  name       = "${var.name}-function"
  cr_type    = "CE"
  link {
    crn            = data.ibm_code_engine_project.this.crn
    component_type = "function"
    component_name = var.name
  }
}

resource "ibm_iam_trusted_profile_policy" "identity" {
  profile_id = ibm_iam_trusted_profile.this.id
  roles      = ["Viewer", "Service ID creator"]
  resources {
    service = "iam-identity"
  }
}

resource "ibm_iam_trusted_profile_policy" "managed" {
  for_each   = var.managed_service_ids
  profile_id = ibm_iam_trusted_profile.this.id
  roles      = ["Administrator"]
  resources {
    service  = "iam-identity"
    resource = each.value
  }
}

# An Editor adds members to the group. Viewer shows the members of all groups.
resource "ibm_iam_trusted_profile_policy" "group_members" {
  count      = length(var.access_groups) > 0 ? 1 : 0
  profile_id = ibm_iam_trusted_profile.this.id
  roles      = ["Viewer"]
  resources {
    service = "iam-groups"
  }
}

resource "ibm_iam_trusted_profile_policy" "groups" {
  for_each   = var.access_groups
  profile_id = ibm_iam_trusted_profile.this.id
  roles      = ["Editor"]
  resources {
    service  = "iam-groups"
    resource = each.value
  }
}

resource "ibm_iam_trusted_profile_policy" "code_engine" {
  profile_id = ibm_iam_trusted_profile.this.id
  roles      = ["Viewer", "Writer"]
  resources {
    service           = "codeengine"
    resource_group_id = var.code_engine_resource_group_id
  }
}

resource "ibm_iam_trusted_profile_policy" "grants" {
  for_each   = var.grants
  profile_id = ibm_iam_trusted_profile.this.id
  roles      = distinct(concat(["Administrator"], each.value.roles))
  resources {
    service              = each.value.service
    resource_instance_id = each.value.instance
  }
}

# --- Function

resource "ibm_code_engine_function" "this" {
  project_id     = var.project_id
  name           = var.name
  runtime        = "nodejs-24"
  code_reference = var.code_reference
  code_secret    = var.code_secret

  scale_cpu_limit          = "0.25"
  scale_memory_limit       = "1G"
  scale_max_execution_time = 120

  run_compute_resource_token_enabled = true

  run_env_variables {
    type      = "config_map_full_reference"
    reference = ibm_code_engine_config_map.config.name
  }
  dynamic "run_env_variables" {
    for_each = var.secret_name == null ? [] : [var.secret_name]
    content {
      type      = "secret_full_reference"
      reference = run_env_variables.value
    }
  }

  depends_on = [
    ibm_iam_trusted_profile_link.this,
    ibm_iam_trusted_profile_policy.identity,
    ibm_iam_trusted_profile_policy.managed,
    ibm_iam_trusted_profile_policy.group_members,
    ibm_iam_trusted_profile_policy.groups,
    ibm_iam_trusted_profile_policy.code_engine,
    ibm_iam_trusted_profile_policy.grants,
  ]
}
