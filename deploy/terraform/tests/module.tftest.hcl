# terraform test, with mocks of the provider: nothing is created.

mock_provider "ibm" {}

variables {
  project_id                    = "0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d"
  config_file                   = "../examples/emulator.yaml"
  code_reference                = "private.de.icr.io/ce--example/latchkey"
  code_engine_resource_group_id = "3c9f1b7e5d2a4c8896e0a1b2c3d4e5f6"
  grants = {
    logs = { service = "logs", instance = "7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10", roles = ["Sender"] }
    all  = { service = "cloud-object-storage", roles = ["Administrator", "Reader"] }
  }
}

run "function" {
  command = apply

  assert {
    condition     = ibm_code_engine_function.this.run_compute_resource_token_enabled
    error_message = "the function can't log in as the trusted profile"
  }
  assert {
    condition     = ibm_code_engine_function.this.scale_max_execution_time == 120
    error_message = "a sweep needs all of the time that a function may take"
  }
  assert {
    condition     = [for v in ibm_code_engine_function.this.run_env_variables : "${v.type} ${v.reference}"] == ["config_map_full_reference latchkey-config", "secret_full_reference latchkey-secrets"]
    error_message = "the function needs its config and its secrets by reference"
  }
  assert {
    condition     = ibm_code_engine_config_map.config.data["LATCHKEY_CONFIG"] == file("../examples/emulator.yaml")
    error_message = "the config map holds the text of the config"
  }
  assert {
    condition     = output.profile == "latchkey"
    error_message = "the config names the profile"
  }
}

run "identity" {
  command = apply

  assert {
    condition     = ibm_iam_trusted_profile_link.this.cr_type == "CE" && ibm_iam_trusted_profile_link.this.link[0].component_type == "function" && ibm_iam_trusted_profile_link.this.link[0].component_name == "latchkey"
    error_message = "only this function may log in with the profile"
  }
  assert {
    condition     = ibm_iam_trusted_profile_link.this.link[0].crn == data.ibm_code_engine_project.this.crn
    error_message = "only in this project"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.identity.roles == tolist(["Viewer", "Service ID creator"])
    error_message = "IAM Identity: Viewer and Service ID creator, and no more"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.code_engine.resources[0].resource_group_id == "3c9f1b7e5d2a4c8896e0a1b2c3d4e5f6"
    error_message = "Code Engine: in one resource group"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.grants["logs"].roles == tolist(["Administrator", "Sender"]) && ibm_iam_trusted_profile_policy.grants["logs"].resources[0].resource_instance_id == "7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10"
    error_message = "a granted role needs Administrator and the role itself, on that instance"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.grants["all"].roles == tolist(["Administrator", "Reader"])
    error_message = "Administrator is not asked for twice"
  }
  assert {
    condition     = length(ibm_iam_trusted_profile_policy.managed) == 0
    error_message = "no service ID of others by default"
  }
  assert {
    condition     = length(ibm_iam_trusted_profile_policy.groups) == 0 && length(ibm_iam_trusted_profile_policy.group_members) == 0
    error_message = "no access group by default"
  }
}

run "without_a_secret" {
  command = apply
  variables {
    secret_name         = null
    name                = "other"
    managed_service_ids = ["ServiceId-1"]
    access_groups       = ["AccessGroupId-1"]
  }

  assert {
    condition     = [for v in ibm_code_engine_function.this.run_env_variables : v.type] == ["config_map_full_reference"]
    error_message = "no secret is referred to"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.managed["ServiceId-1"].roles == tolist(["Administrator"]) && ibm_iam_trusted_profile_policy.managed["ServiceId-1"].resources[0].resource == "ServiceId-1"
    error_message = "Administrator on the one service ID"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.groups["AccessGroupId-1"].roles == tolist(["Editor"]) && ibm_iam_trusted_profile_policy.groups["AccessGroupId-1"].resources[0].resource == "AccessGroupId-1"
    error_message = "Editor on the one access group"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.group_members[0].roles == tolist(["Viewer"])
    error_message = "Viewer shows the members"
  }
  assert {
    condition     = ibm_iam_trusted_profile.this.name == "other" && ibm_code_engine_function.this.name == "other"
    error_message = "the name is the prefix of all names"
  }
}
