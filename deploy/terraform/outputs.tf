output "endpoint" {
  description = "URL that receives events; null for a job."
  value       = local.endpoint
}

output "profile" {
  description = "Name of the trusted profile, for identity.profile in the config."
  value       = ibm_iam_trusted_profile.this.name
}

output "commands" {
  description = "Commands for what the provider has no resource for: the timer, doctor, a first sweep, and the source of new projects."
  value = concat(
    ["ibmcloud ce subscription cron create --name ${var.name}-tick --destination ${var.name} --destination-type ${var.form} --schedule '7 * * * *'"],
    local.check || var.form == "job" ? [for command in ["doctor", "sweep"] :
      "ibmcloud ce jobrun submit --job ${var.form == "job" ? var.name : "${var.name}-check"} --name ${var.name}-${command} --argument ${command} --array-indices 0 --retrylimit 0 --wait && ibmcloud ce jobrun logs --jobrun ${var.name}-${command}"
    ] : [],
    local.notified ? ["ibmcloud event-notifications source-update --instance-id ${local.notifications} --id ${local.lifecycle_source} --enabled=true"] : [],
  )
}
