# The trusted profile that latchkey logs in with. deploy/iam/README.md has the reasons.

resource "ibm_iam_trusted_profile" "this" {
  name        = var.name
  description = "latchkey: creates, rotates and revokes service ID API keys"
}

locals {
  # Each link names one component, so others in the project can't use the profile.
  links = merge(
    { "${var.name}-${var.form}" = { type = var.form == "app" ? "application" : var.form, component = var.name } },
    { for name in keys(local.jobs) : (name) => { type = "job", component = name } if name != var.name },
  )
}

resource "ibm_iam_trusted_profile_link" "this" {
  for_each   = local.links
  profile_id = ibm_iam_trusted_profile.this.id
  name       = each.key
  cr_type    = "CE"
  link {
    crn            = data.ibm_code_engine_project.this.crn
    component_type = each.value.type
    component_name = each.value.component
  }
}

locals {
  # The config does not say which Code Engine projects latchkey sees, so
  # code_engine_resource_group_id limits Viewer and Writer there.
  grants = concat(
    [for g in local.needs.grants : {
      service = g.service
      role    = g.role
      attribute = (g.service == "codeengine" && !can(g.attribute) && contains(["Viewer", "Writer"], g.role) && var.code_engine_resource_group_id != null
      ? "resourceGroupId" : try(g.attribute, ""))
      value = (g.service == "codeengine" && !can(g.attribute) && contains(["Viewer", "Writer"], g.role) && var.code_engine_resource_group_id != null
      ? var.code_engine_resource_group_id : try(g.value, ""))
    }],
    [for id in var.managed_service_ids : { service = "iam-identity", role = "Administrator", attribute = "resource", value = id }],
  )
  # One policy for each service and part of it, with all of its roles.
  policies = { for g in local.grants : join(" ", compact([g.service, g.attribute, g.value])) => g... }
}

resource "ibm_iam_trusted_profile_policy" "this" {
  for_each   = local.policies
  profile_id = ibm_iam_trusted_profile.this.id
  roles      = sort(distinct(each.value[*].role))
  resources {
    service              = each.value[0].service == "" ? null : each.value[0].service
    service_type         = each.value[0].attribute == "serviceType" ? each.value[0].value : null
    resource_instance_id = each.value[0].attribute == "serviceInstance" ? each.value[0].value : null
    resource_group_id    = each.value[0].attribute == "resourceGroupId" ? each.value[0].value : null
    resource             = each.value[0].attribute == "resource" ? each.value[0].value : null
  }
}
