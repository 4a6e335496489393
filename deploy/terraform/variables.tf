variable "name" {
  description = "Name of the function and prefix of all other names."
  type        = string
  default     = "latchkey"
}

variable "project_id" {
  description = "ID of the Code Engine project that latchkey runs in."
  type        = string
}

variable "config_file" {
  description = "Path of latchkey's config, with identity: {profile: <name>}."
  type        = string
}

variable "code_reference" {
  description = "Image of the code bundle, as printed by ibmcloud ce function get."
  type        = string
}

variable "code_secret" {
  description = "Name of the registry secret in the project for a private bundle; null for none."
  type        = string
  default     = null
}

variable "secret_name" {
  description = "Name of the secret in the project with EVENTS_TOKEN; null for none. Its value stays out of Terraform's state."
  type        = string
  default     = "latchkey-secrets"
}

variable "code_engine_resource_group_id" {
  description = "Resource group of the projects that latchkey manages; null for all of them."
  type        = string
}

variable "managed_service_ids" {
  description = "IDs of the service IDs that others created and whose keys latchkey manages: serviceID.id in the config."
  type        = set(string)
  default     = []
}

variable "access_groups" {
  description = "IDs of the access groups of the config, which latchkey adds service IDs to."
  type        = set(string)
  default     = []
}

variable "grants" {
  description = "Roles that latchkey may grant, on one instance or (null) all instances of a service."
  type = map(object({
    service  = string
    instance = optional(string)
    roles    = list(string)
  }))
}
