output "monitors" {
  description = "Ids of the monitors, by what they watch."
  value       = { for key, monitor in datadog_monitor.brownout : key => monitor.id }
}

output "unwatched" {
  description = "What the policy says and no monitor watches: the gateway judges it by its own counts alone."
  value = concat(
    [for each in local.thresholds : "${each.level} ${each.measure} of ${each.of}" if each.measure == "latency_p95" && each.of != "first_chunk"],
    module.policy.scopes,
  )
}

output "webhook" {
  description = "What monitors of your own name in their message: @webhook- and this."
  value       = datadog_webhook.brownout.name
}
