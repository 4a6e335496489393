variable "name" {
  description = "Name of the component and prefix of all other names."
  type        = string
  default     = "latchkey"
  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$", var.name))
    error_message = "The name must be at most 42 lower-case letters, digits and dashes, starting with a letter."
  }
}

variable "form" {
  description = "How latchkey runs: function, app or job."
  type        = string
  default     = "function"
  validation {
    condition     = contains(["function", "app", "job"], var.form)
    error_message = "The form must be function, app or job."
  }
}

variable "project_id" {
  description = "ID of the Code Engine project that latchkey runs in."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-z]{8}(-[0-9a-z]{4}){3}-[0-9a-z]{12}$", var.project_id))
    error_message = "The project's ID has the form 0a6b8a32-4b8e-4b7a-9a61-0d6f5f1e2c3d."
  }
}

variable "config_file" {
  description = "Path of latchkey's config, with identity: {profile: <name>}."
  type        = string
  validation {
    condition     = fileexists(var.config_file)
    error_message = "The config file does not exist."
  }
}

variable "needs_file" {
  description = "Path of what `latchkey validate --config <config_file> --needs` prints: the variables, files and roles that the config needs."
  type        = string
  validation {
    condition     = can(jsondecode(file(var.needs_file)).grants)
    error_message = "The file must have what latchkey validate --needs prints."
  }
}

variable "code_reference" {
  description = "Image of the function's code bundle, as printed by ibmcloud ce function get."
  type        = string
  default     = null
}

variable "code_secret" {
  description = "Name of the registry secret in the project for a private bundle; null for none."
  type        = string
  default     = null
}

variable "image" {
  description = "latchkey's image, for the forms app and job, the provider, and the job that runs doctor; null for none of these."
  type        = string
  default     = null
}

variable "image_secret" {
  description = "Name of the registry secret in the project for the image; null for none."
  type        = string
  default     = null
}

variable "secret_name" {
  description = "Name of the secret in the project with the variables of needs_file; null for none. Its values stay out of Terraform's state."
  type        = string
  default     = "latchkey-secrets"
}

variable "files_secret_name" {
  description = "Name of the secret in the project with the files of needs_file, by their base names; null for none."
  type        = string
  default     = null
}

variable "code_engine_resource_group_id" {
  description = "Resource group of the projects that latchkey manages; null for all of them."
  type        = string
}

variable "managed_service_ids" {
  description = "IDs of further service IDs whose keys latchkey manages, such as those that an earlier login made."
  type        = set(string)
  default     = []
}

variable "min_scale" {
  description = "Lowest number of replicas of the form app."
  type        = number
  default     = 0
}

variable "max_scale" {
  description = "Highest number of replicas of the form app."
  type        = number
  default     = 2
  validation {
    condition     = var.max_scale >= 1
    error_message = "At least one replica is needed: 0 means no limit in Code Engine."
  }
}

variable "array_size" {
  description = "Number of replicas of the form job that share a sweep."
  type        = number
  default     = 1
  validation {
    condition     = var.array_size >= 1
    error_message = "At least one replica is needed."
  }
}

variable "provider_secrets_manager_crn" {
  description = "CRN of the Secrets Manager instance that latchkey provides custom credentials for; null for none."
  type        = string
  default     = null
  validation {
    condition     = var.provider_secrets_manager_crn == null || can(regex("^crn:v1:([^:]*:){2}secrets-manager:([^:]+:){3}", var.provider_secrets_manager_crn))
    error_message = "The CRN must be that of a Secrets Manager instance."
  }
}

variable "provider_secret_name" {
  description = "Name of the secret in the project with the variables of the config's sinks, for the provider; null for none."
  type        = string
  default     = null
}

variable "event_notifications_crn" {
  description = "CRN of the Event Notifications instance that reports new projects; null for none."
  type        = string
  default     = null
  validation {
    condition     = var.event_notifications_crn == null || can(regex("^crn:v1:([^:]*:){2}event-notifications:([^:]+:){3}", var.event_notifications_crn))
    error_message = "The CRN must be that of an Event Notifications instance."
  }
}

variable "expiring_secrets_manager_crn" {
  description = "CRN of the Secrets Manager instance whose expiring secrets Event Notifications reports; null for none."
  type        = string
  default     = null
  validation {
    condition     = var.expiring_secrets_manager_crn == null || can(regex("^crn:v1:([^:]*:){2}secrets-manager:([^:]+:){3}", var.expiring_secrets_manager_crn))
    error_message = "The CRN must be that of a Secrets Manager instance."
  }
}

variable "lifecycle_filter" {
  description = "JSONPath condition on notifications of new resources; null for none."
  type        = string
  default     = null
}

variable "events_token" {
  description = "The token that Event Notifications sends to a function or an application. It is in Terraform's state. Without it, a notification causes a look only: expiring secrets get no new key before they are due."
  type        = string
  default     = null
  sensitive   = true
}
