output "endpoint" {
  description = "Where the function takes events."
  value       = ibm_code_engine_function.this.endpoint
}

output "profile" {
  description = "The trusted profile's name, for the config's identity."
  value       = ibm_iam_trusted_profile.this.name
}
