# Commands that Cloud Scheduler publishes. What it sends is the same each time, so a command says its
# type in an attribute and has the message's own id and time.

resource "google_cloud_scheduler_job" "command" {
  for_each = local.schedules

  project     = var.project_id
  region      = var.region
  name        = "${var.prefix}-${each.key}"
  description = "Publishes ${each.value.command}."
  schedule    = each.value.cron
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.topic["commands"].id
    data       = base64encode(jsonencode(each.value.data))
    attributes = { type = each.value.command }
  }

  depends_on = [google_project_service.api, terraform_data.checked]
}
