# latchkey in one form, with its config and identity. identity.tf has the permissions,
# provider.tf the provider of custom credentials, notifications.tf the events. The provider
# has no resource for subscriptions, so a CLI command creates the timer.

data "ibm_code_engine_project" "this" {
  project_id = var.project_id
}

locals {
  # What latchkey validate --needs prints: the variables, files, roles and servers of the config.
  needs       = jsondecode(file(var.needs_file))
  directories = distinct([for f in local.needs.files : dirname(f.name)])
  check       = var.image != null && var.form != "job"

  # A function has no mounts, so its environment holds the text of the config.
  config_key = var.form == "function" ? "LATCHKEY_CONFIG" : "latchkey.yaml"
  config_env = var.form == "function" ? [
    { type = "config_map_full_reference", reference = ibm_code_engine_config_map.config.name, name = null, value = null },
    ] : [
    { type = "literal", reference = null, name = "LATCHKEY_CONFIG_FILE", value = "/etc/latchkey/latchkey.yaml" },
  ]
  config_mounts = var.form == "function" ? [] : [
    { mount_path = "/etc/latchkey", reference = ibm_code_engine_config_map.config.name, type = "config_map" },
  ]

  env = concat(local.config_env, var.secret_name == null ? [] : [
    { type = "secret_full_reference", reference = var.secret_name, name = null, value = null },
  ])
  files = var.files_secret_name == null ? [] : [
    for d in local.directories : { mount_path = d, reference = var.files_secret_name, type = "secret" }
  ]
  mounts = concat(local.config_mounts, local.files)
}

resource "ibm_code_engine_config_map" "config" {
  project_id = var.project_id
  name       = "${var.name}-config"
  data = {
    (local.config_key) = file(var.config_file)
  }

  lifecycle {
    precondition {
      condition     = !contains(local.needs.variables[*].name, "IBMCLOUD_API_KEY")
      error_message = "The config must log in with the trusted profile: identity: {profile: ${var.name}}."
    }
    precondition {
      condition     = length(local.needs.variables) == 0 || var.secret_name != null
      error_message = "The config needs variables, so secret_name must be set to the secret with ${join(", ", distinct(local.needs.variables[*].name))}."
    }
    precondition {
      condition     = length(local.needs.files) == 0 || (var.form != "function" && var.files_secret_name != null)
      error_message = "The config needs ${join(", ", local.needs.files[*].name)}: set files_secret_name, and use the form app or job, since a function mounts no files."
    }
    precondition {
      condition     = length(local.directories) <= 1
      error_message = "The files of the config must be in one directory, since Code Engine mounts a secret as one: ${join(", ", local.directories)}."
    }
  }
}

resource "ibm_code_engine_function" "this" {
  count          = var.form == "function" ? 1 : 0
  project_id     = var.project_id
  name           = var.name
  runtime        = "nodejs-24"
  code_reference = var.code_reference
  code_secret    = var.code_secret

  scale_cpu_limit          = "0.25"
  scale_memory_limit       = "1G"
  scale_max_execution_time = 120

  run_compute_resource_token_enabled = true

  dynamic "run_env_variables" {
    for_each = local.env
    content {
      type      = run_env_variables.value.type
      reference = run_env_variables.value.reference
      name      = run_env_variables.value.name
      value     = run_env_variables.value.value
    }
  }

  lifecycle {
    precondition {
      condition     = var.code_reference != null
      error_message = "The form function needs code_reference."
    }
  }

  depends_on = [ibm_iam_trusted_profile_link.this, ibm_iam_trusted_profile_policy.this]
}

# The application scales to zero. Work continues after an answer, so a replica stays for
# five minutes after its last request. It is ready once it can log in.
resource "ibm_code_engine_app" "this" {
  count           = var.form == "app" ? 1 : 0
  project_id      = var.project_id
  name            = var.name
  image_reference = var.image
  image_secret    = var.image_secret
  image_port      = 8080

  scale_cpu_limit       = "0.25"
  scale_memory_limit    = "0.5G"
  scale_min_instances   = var.min_scale
  scale_max_instances   = var.max_scale
  scale_concurrency     = 50
  scale_down_delay      = 300
  scale_request_timeout = 120

  probe_readiness {
    type     = "http"
    path     = "/readyz"
    interval = 10
    timeout  = 6
  }

  run_compute_resource_token_enabled = true

  dynamic "run_env_variables" {
    for_each = local.env
    content {
      type      = run_env_variables.value.type
      reference = run_env_variables.value.reference
      name      = run_env_variables.value.name
      value     = run_env_variables.value.value
    }
  }
  dynamic "run_volume_mounts" {
    for_each = local.mounts
    content {
      type       = run_volume_mounts.value.type
      mount_path = run_volume_mounts.value.mount_path
      reference  = run_volume_mounts.value.reference
    }
  }

  lifecycle {
    precondition {
      condition     = var.image != null
      error_message = "The form app needs image."
    }
  }

  depends_on = [ibm_iam_trusted_profile_link.this, ibm_iam_trusted_profile_policy.this]
}

locals {
  # The form job, the job in which doctor and a first sweep run, and the provider.
  jobs = merge(
    var.form == "job" ? {
      (var.name) = { arguments = ["job"], seconds = 900, retries = 3, indices = var.array_size, env = local.env, mounts = local.mounts }
    } : {},
    local.check ? {
      "${var.name}-check" = { arguments = ["doctor"], seconds = 900, retries = 0, indices = 1, env = local.env, mounts = local.mounts }
    } : {},
    local.provides ? {
      "${var.name}-provider" = { arguments = ["job"], seconds = 3000, retries = 0, indices = 1, env = local.provider_env, mounts = local.provider_mounts }
    } : {},
  )
}

resource "ibm_code_engine_job" "this" {
  for_each        = local.jobs
  project_id      = var.project_id
  name            = each.key
  image_reference = var.image
  image_secret    = var.image_secret
  run_arguments   = each.value.arguments

  scale_array_spec         = each.value.indices > 1 ? "0-${each.value.indices - 1}" : "0"
  scale_cpu_limit          = "0.25"
  scale_memory_limit       = "0.5G"
  scale_max_execution_time = each.value.seconds
  scale_retry_limit        = each.value.retries

  run_compute_resource_token_enabled = true

  dynamic "run_env_variables" {
    for_each = each.value.env
    content {
      type      = run_env_variables.value.type
      reference = run_env_variables.value.reference
      name      = run_env_variables.value.name
      value     = run_env_variables.value.value
    }
  }
  dynamic "run_volume_mounts" {
    for_each = each.value.mounts
    content {
      type       = run_volume_mounts.value.type
      mount_path = run_volume_mounts.value.mount_path
      reference  = run_volume_mounts.value.reference
    }
  }

  lifecycle {
    precondition {
      condition     = var.image != null
      error_message = "A job needs image."
    }
  }

  depends_on = [ibm_iam_trusted_profile_link.this, ibm_iam_trusted_profile_policy.this]
}
