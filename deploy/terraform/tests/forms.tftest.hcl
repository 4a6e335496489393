# terraform test, with mocks of the provider: nothing is created.

mock_provider "ibm" {}

variables {
  project_id                    = "0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d"
  config_file                   = "tests/function.yaml"
  needs_file                    = "tests/function.needs.json"
  code_reference                = "private.de.icr.io/ce--example/latchkey"
  code_engine_resource_group_id = "3c9f1b7e5d2a4c8896e0a1b2c3d4e5f6"
}

run "function" {
  command = apply

  assert {
    condition     = ibm_code_engine_function.this[0].run_compute_resource_token_enabled
    error_message = "the function can't log in as the trusted profile"
  }
  assert {
    condition     = ibm_code_engine_function.this[0].scale_max_execution_time == 120
    error_message = "a sweep needs all of the time that a function may take"
  }
  assert {
    condition     = [for v in ibm_code_engine_function.this[0].run_env_variables : "${v.type} ${v.reference}"] == ["config_map_full_reference latchkey-config", "secret_full_reference latchkey-secrets"]
    error_message = "the function needs its config and its secrets by reference"
  }
  assert {
    condition     = ibm_code_engine_config_map.config.data == tomap({ LATCHKEY_CONFIG = file("tests/function.yaml") })
    error_message = "the config map holds the text of the config"
  }
  assert {
    condition     = length(ibm_code_engine_app.this) + length(ibm_code_engine_job.this) + length(ibm_en_topic.this) + length(ibm_sm_custom_credentials_configuration.provider) == 0
    error_message = "without image and CRNs there is nothing but the function"
  }
  assert {
    condition     = output.profile == "latchkey" && output.endpoint == ibm_code_engine_function.this[0].endpoint
    error_message = "the outputs are those of the function"
  }
  assert {
    condition     = output.commands == ["ibmcloud ce subscription cron create --name latchkey-tick --destination latchkey --destination-type function --schedule '7 * * * *'"]
    error_message = "the timer is left to the CLI"
  }
}

run "function_with_checks" {
  command = apply
  variables {
    name         = "other"
    image        = "de.icr.io/example/latchkey:1"
    image_secret = "registry"
  }

  assert {
    condition     = keys(ibm_code_engine_job.this) == ["other-check"] && ibm_code_engine_job.this["other-check"].run_arguments == tolist(["doctor"]) && ibm_code_engine_job.this["other-check"].scale_retry_limit == 0
    error_message = "doctor has a job of its own"
  }
  assert {
    condition     = [for v in ibm_code_engine_job.this["other-check"].run_env_variables : "${v.type} ${v.reference}"] == [for v in ibm_code_engine_function.this[0].run_env_variables : "${v.type} ${v.reference}"]
    error_message = "with the config and secrets of the function"
  }
  assert {
    condition     = ibm_iam_trusted_profile_link.this["other-check"].link[0].component_type == "job" && ibm_iam_trusted_profile_link.this["other-check"].link[0].component_name == "other-check"
    error_message = "and with its identity"
  }
  assert {
    condition     = length(output.commands) == 3 && strcontains(output.commands[1], "--job other-check --name other-doctor --argument doctor")
    error_message = "doctor and a first sweep are left to the CLI"
  }
  assert {
    condition     = ibm_iam_trusted_profile.this.name == "other" && ibm_code_engine_function.this[0].name == "other"
    error_message = "the name is the prefix of all names"
  }
}

run "app" {
  command = apply
  variables {
    form              = "app"
    config_file       = "../examples/full.yaml"
    needs_file        = "tests/full.needs.json"
    image             = "de.icr.io/example/latchkey:1"
    files_secret_name = "latchkey-files"
  }

  assert {
    condition     = length(ibm_code_engine_function.this) == 0 && output.endpoint == ibm_code_engine_app.this[0].endpoint
    error_message = "an application takes the place of the function"
  }
  assert {
    condition     = ibm_code_engine_app.this[0].run_compute_resource_token_enabled && ibm_code_engine_app.this[0].probe_readiness[0].path == "/readyz"
    error_message = "it is ready when it can log in as the trusted profile"
  }
  assert {
    condition     = [for m in ibm_code_engine_app.this[0].run_volume_mounts : "${m.type} ${m.reference} ${m.mount_path}"] == ["config_map latchkey-config /etc/latchkey", "secret latchkey-files /run/secrets"]
    error_message = "config and files are mounted where the config has them"
  }
  assert {
    condition     = [for v in ibm_code_engine_app.this[0].run_env_variables : v.type == "literal" ? "${v.name}=${v.value}" : v.reference] == ["LATCHKEY_CONFIG_FILE=/etc/latchkey/latchkey.yaml", "latchkey-secrets"]
    error_message = "the environment names the config, and has the secrets by reference"
  }
  assert {
    condition     = ibm_code_engine_config_map.config.data == tomap({ "latchkey.yaml" = file("../examples/full.yaml") })
    error_message = "the config map has the config as a file"
  }
  assert {
    condition     = ibm_iam_trusted_profile_link.this["latchkey-app"].link[0].component_type == "application" && keys(ibm_iam_trusted_profile_link.this) == ["latchkey-app", "latchkey-check"]
    error_message = "the application and its checks log in, and nothing else"
  }
}

run "job" {
  command = apply
  variables {
    form       = "job"
    image      = "de.icr.io/example/latchkey:1"
    array_size = 8
  }

  assert {
    condition     = keys(ibm_code_engine_job.this) == ["latchkey"] && ibm_code_engine_job.this["latchkey"].run_arguments == tolist(["job"]) && ibm_code_engine_job.this["latchkey"].scale_retry_limit == 3
    error_message = "the job sweeps and checks itself"
  }
  assert {
    condition     = ibm_code_engine_job.this["latchkey"].scale_array_spec == "0-7"
    error_message = "eight replicas share a sweep"
  }
  assert {
    condition     = [for m in ibm_code_engine_job.this["latchkey"].run_volume_mounts : m.mount_path] == ["/etc/latchkey"]
    error_message = "its config is mounted"
  }
  assert {
    condition     = output.endpoint == null && strcontains(output.commands[0], "--destination-type job") && strcontains(output.commands[1], "--job latchkey --name latchkey-doctor")
    error_message = "the timer starts the job"
  }
}

run "an_unknown_form" {
  command = plan
  variables {
    form = "lambda"
  }
  expect_failures = [var.form]
}

run "a_function_mounts_no_files" {
  command = plan
  variables {
    config_file       = "../examples/full.yaml"
    needs_file        = "tests/full.needs.json"
    files_secret_name = "latchkey-files"
  }
  expect_failures = [ibm_code_engine_config_map.config]
}

run "variables_without_their_secret" {
  command = plan
  variables {
    secret_name = null
  }
  expect_failures = [ibm_code_engine_config_map.config]
}

run "an_application_without_an_image" {
  command = plan
  variables {
    form = "app"
  }
  expect_failures = [ibm_code_engine_app.this]
}

run "a_function_without_its_code" {
  command = plan
  variables {
    code_reference = null
  }
  expect_failures = [ibm_code_engine_function.this]
}

run "a_file_that_is_not_the_needs" {
  command = plan
  variables {
    needs_file = "tests/function.yaml"
  }
  expect_failures = [var.needs_file]
}
