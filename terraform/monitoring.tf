# The installation watches itself. What it finds goes to the addresses of var.monitoring; each alert
# says in a line what to do. Queries are PromQL over metrics that Google Cloud writes by itself, and
# over counts of log lines.

locals {
  # Functions that a schedule runs every minute: the line that each run logs when it is through, and
  # what is not done without it.
  heartbeats = {
    for key, told in {
      brownout_tick = { line = "brownout.ticked", missed = "changes of modes whose webhook failed are not told" }
      budgets       = { line = "budgets.swept", missed = "leases of lost instances keep budgets occupied and nobody is told of thresholds" }
    } : key => told if can(local.functions[key])
  }

  # What is watched, as the label matchers of queries.
  watched = {
    functions     = "monitored_resource=\"cloud_run_revision\",project_id=\"${var.project_id}\",service_name=~\"${join("|", values(local.functions)[*].name)}\""
    subscriptions = "monitored_resource=\"pubsub_subscription\",project_id=\"${var.project_id}\",subscription_id=~\"${join("|", concat(values(google_pubsub_subscription.push)[*].name, values(google_pubsub_subscription.warehouse)[*].name))}\""
    dead_letters  = "monitored_resource=\"pubsub_subscription\",project_id=\"${var.project_id}\",subscription_id=\"${google_pubsub_subscription.dead_letter.name}\""
    runs          = "monitored_resource=\"cloud_run_revision\",project_id=\"${var.project_id}\""
  }

  alerts = merge(
    {
      dead-letters = {
        title    = "messages that no function takes"
        query    = "sum({\"pubsub.googleapis.com/subscription/num_undelivered_messages\",${local.watched.dead_letters}}) > 0"
        duration = "300s"
        remedy   = "Look for push.failed and push.crashed in the functions' logs and mend the cause, then scripts/dead_letters replay --bus pubsub://${var.project_id}/${var.prefix}. Each is kept for 31 days."
      }
      backlog = {
        title    = "messages wait for more than 15 minutes"
        query    = "max by (subscription_id) ({\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\",${local.watched.subscriptions}}) > 900"
        duration = "60s"
        remedy   = "Look at the log of the function that the subscription names: it fails, or it needs more instances (functions.<name>.instances.max). A subscription of the warehouse waits for its table."
      }
      errors = {
        title = "a function answers more than 5 % with 5xx"
        # 501 says that the caller asked for something that does not exist.
        query    = "sum by (service_name) (rate({\"run.googleapis.com/request_count\",${local.watched.functions},response_code_class=\"5xx\",response_code!=\"501\"}[5m])) / sum by (service_name) (rate({\"run.googleapis.com/request_count\",${local.watched.functions}}[5m])) > 0.05"
        duration = "600s"
        remedy   = "Look at the function's log. Of the proxy, an answer without x-gateway-error is the provider's own; budget_unavailable is the database's."
      }
    },
    {
      for key, told in local.heartbeats : "${key}-silent" => {
        title = "${local.functions[key].name} has not been through for 10 minutes"
        # No line in any 5 minutes, for 5 minutes. A count that has never been written is 0 as well.
        query    = "(sum(increase({\"logging.googleapis.com/user/${google_logging_metric.runs[key].name}\",${local.watched.runs}}[5m])) or vector(0)) == 0"
        duration = "300s"
        remedy   = "Look at the log of ${local.functions[key].name} for push.failed and its code, then at the Cloud Scheduler job: until it runs, ${told.missed}."
      }
    },
  )
}

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.monitoring.emails)

  project      = var.project_id
  display_name = "Open Cloud Ops (${var.prefix}): ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
  user_labels  = local.labels

  depends_on = [google_project_service.api]
}

resource "google_logging_metric" "runs" {
  for_each = local.heartbeats

  project     = var.project_id
  name        = "${var.prefix}-runs-${each.key}"
  description = "Runs of ${local.functions[each.key].name} that came to their end."
  filter      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${local.functions[each.key].name}\" AND jsonPayload.message=\"${each.value.line}\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_alert_policy" "watch" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = "Open Cloud Ops (${var.prefix}): ${each.value.title}"
  combiner              = "OR"
  notification_channels = values(google_monitoring_notification_channel.email)[*].id
  user_labels           = local.labels

  conditions {
    display_name = each.value.title

    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = each.value.duration
      evaluation_interval       = "60s"
      disable_metric_validation = true # a metric exists from its first point on
    }
  }

  documentation {
    content = each.value.remedy
  }
}

# Cloud Scheduler writes no metric of its jobs, but a line of each attempt that fails.
resource "google_monitoring_alert_policy" "schedules" {
  count = length(local.schedules) > 0 ? 1 : 0

  project               = var.project_id
  display_name          = "Open Cloud Ops (${var.prefix}): a schedule does not publish its command"
  combiner              = "OR"
  notification_channels = values(google_monitoring_notification_channel.email)[*].id
  user_labels           = local.labels

  conditions {
    display_name = "a failed attempt in the log"

    condition_matched_log {
      filter = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=(${join(" OR ", [for job in values(google_cloud_scheduler_job.command)[*].name : "\"${job}\""])}) AND severity>=ERROR"
    }
  }

  alert_strategy {
    auto_close = "3600s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = "Open the job in Cloud Scheduler: its last result says why. Its service agent (service-<project number>@gcp-sa-cloudscheduler.iam.gserviceaccount.com) needs roles/cloudscheduler.serviceAgent on the project."
  }
}
