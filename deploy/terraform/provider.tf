# The provider of custom credentials, if provider_secrets_manager_crn is set: a job that
# Secrets Manager starts for each version of a secret.

locals {
  provides = var.provider_secrets_manager_crn != null

  # Secrets Manager reads the parameters and credentials of the secrets from the job. It
  # takes no events and has no stores, so it needs the secrets of sinks only.
  provider_env = concat(
    local.config_env,
    var.provider_secret_name == null ? [] : [
      { type = "secret_full_reference", reference = var.provider_secret_name, name = null, value = null },
    ],
    [for v in jsondecode(file("${path.module}/../job/parameters.json")).job_env_variables :
      { type = "literal", reference = null, name = v.name, value = v.value }
    ],
  )
  provider_mounts = concat(local.config_mounts, length([for f in local.needs.files : f if startswith(f.for, "outcomes")]) > 0 ? local.files : [])
}

resource "ibm_iam_authorization_policy" "provider" {
  count                       = local.provides ? 1 : 0
  source_service_name         = "secrets-manager"
  source_resource_instance_id = split(":", var.provider_secrets_manager_crn)[7]
  target_service_name         = "codeengine"
  target_resource_instance_id = var.project_id
  roles                       = ["Viewer", "Writer"]
}

# A change of the job's parameters needs a new configuration.
resource "ibm_sm_custom_credentials_configuration" "provider" {
  count       = local.provides ? 1 : 0
  instance_id = split(":", var.provider_secrets_manager_crn)[7]
  region      = split(":", var.provider_secrets_manager_crn)[5]
  name        = "${var.name}-provider"
  code_engine {
    project_id = var.project_id
    job_name   = ibm_code_engine_job.this["${var.name}-provider"].name
    region     = data.ibm_code_engine_project.this.region
  }
  task_timeout = "50m"

  lifecycle {
    precondition {
      condition     = anytrue([for g in local.needs.grants : g.role == "SecretTaskUpdater" && try(g.value, "") == split(":", var.provider_secrets_manager_crn)[7]])
      error_message = "The config's provider.instances must list ${split(":", var.provider_secrets_manager_crn)[7]}."
    }
    precondition {
      condition     = var.provider_secret_name != null || length([for v in local.needs.variables : v if startswith(v.for, "outcomes")]) == 0
      error_message = "The config has sinks with secrets, so provider_secret_name must be set to a secret with their variables."
    }
  }

  depends_on = [ibm_iam_authorization_policy.provider]
}
