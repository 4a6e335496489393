# The permissions, with mocks of the provider.

mock_provider "ibm" {}

variables {
  project_id                    = "0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d"
  config_file                   = "tests/function.yaml"
  needs_file                    = "tests/function.needs.json"
  code_reference                = "private.de.icr.io/ce--example/latchkey"
  code_engine_resource_group_id = "3c9f1b7e5d2a4c8896e0a1b2c3d4e5f6"
}

run "the_link" {
  command = apply

  assert {
    condition     = keys(ibm_iam_trusted_profile_link.this) == ["latchkey-function"] && ibm_iam_trusted_profile_link.this["latchkey-function"].cr_type == "CE"
    error_message = "one component may log in with the profile"
  }
  assert {
    condition     = ibm_iam_trusted_profile_link.this["latchkey-function"].link[0].component_type == "function" && ibm_iam_trusted_profile_link.this["latchkey-function"].link[0].component_name == "latchkey"
    error_message = "only this function may log in with the profile"
  }
  assert {
    condition     = ibm_iam_trusted_profile_link.this["latchkey-function"].link[0].crn == data.ibm_code_engine_project.this.crn
    error_message = "only in this project"
  }
}

run "the_roles_of_a_small_config" {
  command = apply

  assert {
    condition = { for key, p in ibm_iam_trusted_profile_policy.this : key => join(",", p.roles) } == {
      "codeengine resourceGroupId 3c9f1b7e5d2a4c8896e0a1b2c3d4e5f6" = "Viewer,Writer"
      "iam-identity"                                                = "Service ID creator,Viewer"
      "logs serviceInstance 7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10"   = "Administrator,Sender"
    }
    error_message = "the policies are the roles that the config needs, and no more"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.this["logs serviceInstance 7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10"].resources[0].resource_instance_id == "7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10"
    error_message = "a granted role needs Administrator and the role itself, on that instance"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.this["codeengine resourceGroupId 3c9f1b7e5d2a4c8896e0a1b2c3d4e5f6"].resources[0].resource_group_id == "3c9f1b7e5d2a4c8896e0a1b2c3d4e5f6"
    error_message = "Code Engine: in one resource group"
  }
}

run "every_role_of_the_full_config" {
  command = apply
  variables {
    form                          = "app"
    image                         = "de.icr.io/example/latchkey:1"
    config_file                   = "../examples/full.yaml"
    needs_file                    = "tests/full.needs.json"
    files_secret_name             = "latchkey-files"
    code_engine_resource_group_id = null
    managed_service_ids           = ["ServiceId-1"]
  }

  assert {
    condition = toset(flatten([for p in ibm_iam_trusted_profile_policy.this : [for role in p.roles : join(" ", compact([p.resources[0].service, role,
      p.resources[0].service_type, p.resources[0].resource_instance_id, p.resources[0].resource_group_id, p.resources[0].resource]))]])) == setunion(
    toset([for g in jsondecode(file("tests/full.needs.json")).grants : join(" ", compact([g.service, g.role, try(g.value, "")]))]), ["iam-identity Administrator ServiceId-1"])
    error_message = "each role that the config needs is in a policy, and no other"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.this["serviceType service"].resources[0].service_type == "service"
    error_message = "a role on all services has no service"
  }
  assert {
    condition     = ibm_iam_trusted_profile_policy.this["iam-identity resource ServiceId-1"].resources[0].resource == "ServiceId-1"
    error_message = "Administrator on the one service ID"
  }
}
