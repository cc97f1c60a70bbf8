output "alerts" {
  description = "Names of the alert policies, by what they watch."
  value       = { for key, alert in google_monitoring_alert_policy.brownout : key => alert.name }
}

output "channel" {
  description = "Name of the notification channel, for alert policies of your own: their user labels say brownout (soft, hard or emergency), brownout_scope_kind, brownout_scope_name and brownout_org."
  value       = google_monitoring_notification_channel.brownout.name
}
