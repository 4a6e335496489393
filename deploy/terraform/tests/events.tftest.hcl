# The provider of custom credentials and Event Notifications, with mocks of the provider.

mock_provider "ibm" {}

override_data {
  target = data.ibm_en_sources.this[0]
  values = {
    sources = [
      { id = "timer", name = "Timer", type = "timer", description = "", updated_at = "", topic_count = 0, enabled = true, store_notifications = false },
      { id = "projects", name = "Resource Lifecycle", type = "resource-lifecycle-events", description = "", updated_at = "", topic_count = 0, enabled = false, store_notifications = false },
      { id = "secrets", name = "latchkey-secrets-manager", type = "secrets-manager", description = "", updated_at = "", topic_count = 0, enabled = true, store_notifications = false },
    ]
  }
}

variables {
  project_id                    = "0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d"
  config_file                   = "tests/function.yaml"
  needs_file                    = "tests/function.needs.json"
  code_reference                = "private.de.icr.io/ce--example/latchkey"
  code_engine_resource_group_id = "3c9f1b7e5d2a4c8896e0a1b2c3d4e5f6"
}

run "provider" {
  command = apply
  variables {
    form                         = "job"
    config_file                  = "../examples/full.yaml"
    needs_file                   = "tests/full.needs.json"
    image                        = "de.icr.io/example/latchkey:1"
    files_secret_name            = "latchkey-files"
    provider_secret_name         = "latchkey-provider-secrets"
    provider_secrets_manager_crn = "crn:v1:bluemix:public:secrets-manager:eu-gb:a/5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21:c4a7e2f0-6d15-4b98-9e3a-7f20d1c8b546::"
  }

  assert {
    condition     = [for v in ibm_code_engine_job.this["latchkey-provider"].run_env_variables : v.name if v.type == "literal"] == ["LATCHKEY_CONFIG_FILE", "SMIN_SERVICE_ID", "SMOUT_APIKEY", "SMOUT_ID", "SMOUT_SERVICE_ID"]
    error_message = "the job declares the parameters and credentials of its secrets"
  }
  assert {
    condition     = [for v in ibm_code_engine_job.this["latchkey-provider"].run_env_variables : v.reference if v.type == "secret_full_reference"] == ["latchkey-provider-secrets"] && [for m in ibm_code_engine_job.this["latchkey-provider"].run_volume_mounts : m.reference] == ["latchkey-config"]
    error_message = "it gets the secrets of sinks only"
  }
  assert {
    condition     = ibm_code_engine_job.this["latchkey-provider"].scale_retry_limit == 0 && ibm_code_engine_job.this["latchkey-provider"].scale_max_execution_time == 3000
    error_message = "Secrets Manager shows a failed task"
  }
  assert {
    condition = (ibm_sm_custom_credentials_configuration.provider[0].instance_id == "c4a7e2f0-6d15-4b98-9e3a-7f20d1c8b546" && ibm_sm_custom_credentials_configuration.provider[0].region == "eu-gb"
    && ibm_sm_custom_credentials_configuration.provider[0].code_engine[0].job_name == "latchkey-provider" && ibm_sm_custom_credentials_configuration.provider[0].code_engine[0].project_id == var.project_id)
    error_message = "Secrets Manager starts that job"
  }
  assert {
    condition     = ibm_iam_authorization_policy.provider[0].source_resource_instance_id == "c4a7e2f0-6d15-4b98-9e3a-7f20d1c8b546" && ibm_iam_authorization_policy.provider[0].target_resource_instance_id == var.project_id && ibm_iam_authorization_policy.provider[0].roles == tolist(["Viewer", "Writer"])
    error_message = "that instance may start jobs of that project"
  }
  assert {
    condition     = ibm_iam_trusted_profile_link.this["latchkey-provider"].link[0].component_name == "latchkey-provider"
    error_message = "the provider logs in with the profile"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.this["secrets-manager serviceInstance c4a7e2f0-6d15-4b98-9e3a-7f20d1c8b546"].roles == tolist(["SecretTaskUpdater", "SecretsReader"])
    error_message = "the provider reads and completes tasks"
  }
}

run "a_provider_that_the_config_does_not_know" {
  command = plan
  variables {
    image                        = "de.icr.io/example/latchkey:1"
    provider_secrets_manager_crn = "crn:v1:bluemix:public:secrets-manager:eu-gb:a/5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21:44444444-2222-4333-8444-555555555555::"
  }
  expect_failures = [ibm_sm_custom_credentials_configuration.provider]
}

run "a_crn_of_another_service" {
  command = plan
  variables {
    event_notifications_crn = "crn:v1:bluemix:public:secrets-manager:eu-de:a/5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21:44444444-2222-4333-8444-555555555555::"
  }
  expect_failures = [var.event_notifications_crn]
}

run "notifications_to_a_function" {
  command = apply
  variables {
    event_notifications_crn      = "crn:v1:bluemix:public:event-notifications:eu-de:a/5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21:33333333-2222-4333-8444-555555555555::"
    expiring_secrets_manager_crn = "crn:v1:bluemix:public:secrets-manager:eu-de:a/5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21:44444444-2222-4333-8444-555555555555::"
    events_token                 = "token"
  }

  assert {
    condition     = [for s in ibm_en_topic.this[0].sources : s.id] == ["projects", "secrets"] && ibm_en_topic.this[0].instance_guid == "33333333-2222-4333-8444-555555555555"
    error_message = "the topic has new projects and expiring secrets"
  }
  assert {
    condition = (ibm_en_destination_ce.this[0].config[0].params[0].type == "application" && ibm_en_destination_ce.this[0].config[0].params[0].url == ibm_code_engine_function.this[0].endpoint
    && ibm_en_destination_ce.this[0].config[0].params[0].custom_headers == tomap({ Authorization = "Bearer token" }) && ibm_en_destination_ce.this[0].config[0].params[0].sensitive_headers == tolist(["Authorization"]))
    error_message = "the destination posts to the function, with the token in a sensitive header"
  }
  assert {
    condition     = ibm_en_subscription_ce.this[0].topic_id == ibm_en_topic.this[0].topic_id && ibm_en_subscription_ce.this[0].destination_id == ibm_en_destination_ce.this[0].destination_id
    error_message = "the subscription joins topic and destination"
  }
  assert {
    condition     = ibm_sm_en_registration.this[0].event_notifications_source_name == "latchkey-secrets-manager" && ibm_iam_authorization_policy.secrets[0].roles == tolist(["Event Source Manager"])
    error_message = "Secrets Manager reports to the instance"
  }
  assert {
    condition     = length(ibm_iam_authorization_policy.notifications) == 0
    error_message = "a POST needs no authorization"
  }
  assert {
    condition     = output.commands[1] == "ibmcloud event-notifications source-update --instance-id 33333333-2222-4333-8444-555555555555 --id projects --enabled=true"
    error_message = "the source of new projects is enabled by the CLI"
  }
}

run "notifications_without_a_token" {
  command = apply
  variables {
    form                    = "app"
    image                   = "de.icr.io/example/latchkey:1"
    event_notifications_crn = "crn:v1:bluemix:public:event-notifications:eu-de:a/5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21:33333333-2222-4333-8444-555555555555::"
  }

  assert {
    condition     = ibm_en_destination_ce.this[0].config[0].params[0].url == ibm_code_engine_app.this[0].endpoint && ibm_en_destination_ce.this[0].config[0].params[0].custom_headers == null
    error_message = "new projects need no token"
  }
  assert {
    condition     = [for s in ibm_en_topic.this[0].sources : s.id] == ["projects"] && length(ibm_sm_en_registration.this) == 0
    error_message = "expiring secrets are not reported"
  }
}

run "notifications_to_a_job" {
  command = apply
  variables {
    form                    = "job"
    image                   = "de.icr.io/example/latchkey:1"
    event_notifications_crn = "crn:v1:bluemix:public:event-notifications:eu-de:a/5f1d0a7e4b6c4d2f9e8a7b6c5d4e3f21:33333333-2222-4333-8444-555555555555::"
    lifecycle_filter        = "$.source == 'codeengine'"
  }

  assert {
    condition     = ibm_en_destination_ce.this[0].config[0].params[0].type == "job" && ibm_en_destination_ce.this[0].config[0].params[0].job_name == "latchkey" && ibm_en_destination_ce.this[0].config[0].params[0].project_crn == data.ibm_code_engine_project.this.crn
    error_message = "the destination starts the job"
  }
  assert {
    condition     = ibm_iam_authorization_policy.notifications[0].target_resource_instance_id == var.project_id && ibm_iam_authorization_policy.notifications[0].roles == tolist(["Viewer", "Writer"])
    error_message = "Event Notifications may start jobs of that project"
  }
  assert {
    condition     = ibm_en_topic.this[0].sources[0].rules[0].notification_filter == "$.source == 'codeengine'"
    error_message = "the filter is the operator's"
  }
}
