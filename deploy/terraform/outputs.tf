output "endpoint" {
  description = "URL that receives events."
  value       = ibm_code_engine_function.this.endpoint
}

output "profile" {
  description = "Name of the trusted profile, for identity.profile in the config."
  value       = ibm_iam_trusted_profile.this.name
}
