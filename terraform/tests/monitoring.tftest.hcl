# The installation watches itself: what is asked, and who is told.

mock_provider "google" {
  source          = "./tests/mocks/google"
  override_during = plan
}
mock_provider "google-beta" {
  source          = "./tests/mocks/google"
  override_during = plan
}
mock_provider "random" {
  override_during = plan
}
mock_provider "time" {
  override_during = plan
}

override_resource {
  override_during = plan
  target          = google_monitoring_notification_channel.email["ada@example.com"]
  values          = { id = "channels/ada" }
}
override_resource {
  override_during = plan
  target          = google_monitoring_notification_channel.email["bob@example.com"]
  values          = { id = "channels/bob" }
}

variables {
  project_id    = "my-project"
  bundle_dir    = "tests/bundle"
  secret_values = {}
  monitoring    = { emails = ["ada@example.com", "bob@example.com"] }
}

run "a_watched_installation" {
  command = plan

  # Alerts ask for what is there.
  assert {
    condition     = jsonencode(keys(google_monitoring_alert_policy.watch)) == jsonencode(["backlog", "brownout_tick-silent", "budgets-silent", "dead-letters", "errors"]) && length(google_monitoring_alert_policy.schedules) == 1
    error_message = "Alerts: ${jsonencode(keys(google_monitoring_alert_policy.watch))}"
  }
  assert {
    condition     = google_monitoring_alert_policy.watch["dead-letters"].conditions[0].condition_prometheus_query_language[0].query == "sum({\"pubsub.googleapis.com/subscription/num_undelivered_messages\",monitored_resource=\"pubsub_subscription\",project_id=\"my-project\",subscription_id=\"oco-dead-letter\"}) > 0" && google_monitoring_alert_policy.watch["dead-letters"].conditions[0].condition_prometheus_query_language[0].duration == "300s"
    error_message = "Dead letters for 5 minutes: ${jsonencode(google_monitoring_alert_policy.watch["dead-letters"].conditions)}"
  }
  assert {
    condition     = endswith(google_monitoring_alert_policy.watch["backlog"].conditions[0].condition_prometheus_query_language[0].query, "}) > 900") && startswith(google_monitoring_alert_policy.watch["backlog"].conditions[0].condition_prometheus_query_language[0].query, "max by (subscription_id) ({\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\",") && google_monitoring_alert_policy.watch["backlog"].conditions[0].condition_prometheus_query_language[0].duration == "60s"
    error_message = "A message that waits for 15 minutes: ${jsonencode(google_monitoring_alert_policy.watch["backlog"].conditions)}"
  }
  assert {
    condition = toset(split("|", regex("subscription_id=~\"([^\"]+)\"", google_monitoring_alert_policy.watch["backlog"].conditions[0].condition_prometheus_query_language[0].query)[0])) == toset(concat(
      values(google_pubsub_subscription.push)[*].name, values(google_pubsub_subscription.warehouse)[*].name
    ))
    error_message = "Every subscription is watched but that of the dead letters, which has an alert of its own."
  }
  assert {
    condition     = google_monitoring_alert_policy.watch["errors"].conditions[0].condition_prometheus_query_language[0].query == "sum by (service_name) (rate({\"run.googleapis.com/request_count\",monitored_resource=\"cloud_run_revision\",project_id=\"my-project\",service_name=~\"${join("|", sort(values(module.function)[*].name))}\",response_code_class=\"5xx\",response_code!=\"501\"}[5m])) / sum by (service_name) (rate({\"run.googleapis.com/request_count\",monitored_resource=\"cloud_run_revision\",project_id=\"my-project\",service_name=~\"${join("|", sort(values(module.function)[*].name))}\"}[5m])) > 0.05" && google_monitoring_alert_policy.watch["errors"].conditions[0].condition_prometheus_query_language[0].duration == "600s"
    error_message = "5xx above 5 % for 10 minutes: ${jsonencode(google_monitoring_alert_policy.watch["errors"].conditions)}"
  }
  assert {
    condition     = google_monitoring_alert_policy.watch["budgets-silent"].conditions[0].condition_prometheus_query_language[0].query == "(sum(increase({\"logging.googleapis.com/user/oco-runs-budgets\",monitored_resource=\"cloud_run_revision\",project_id=\"my-project\"}[5m])) or vector(0)) == 0" && google_monitoring_alert_policy.watch["budgets-silent"].conditions[0].condition_prometheus_query_language[0].duration == "300s"
    error_message = "No line for 10 minutes: ${jsonencode(google_monitoring_alert_policy.watch["budgets-silent"].conditions)}"
  }
  assert {
    condition = alltrue([
      google_logging_metric.runs["budgets"].name == "oco-runs-budgets",
      google_logging_metric.runs["budgets"].filter == "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"oco-budgets\" AND jsonPayload.message=\"budgets.swept\"",
      google_logging_metric.runs["budgets"].metric_descriptor[0].metric_kind == "DELTA",
      google_logging_metric.runs["budgets"].metric_descriptor[0].value_type == "INT64",
    ])
    error_message = "The line that is counted: ${jsonencode(google_logging_metric.runs)}"
  }
  assert {
    condition     = google_logging_metric.runs["brownout_tick"].filter == "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"oco-brownout-tick\" AND jsonPayload.message=\"brownout.ticked\"" && endswith(google_monitoring_alert_policy.watch["brownout_tick-silent"].documentation[0].content, "until it runs, changes of modes whose webhook failed are not told.") && endswith(google_monitoring_alert_policy.watch["budgets-silent"].documentation[0].content, "until it runs, leases of lost instances keep budgets occupied and nobody is told of thresholds.")
    error_message = "Each heartbeat counts its own line, and says what is missed."
  }
  assert {
    condition     = alltrue([for key in keys(local.heartbeats) : contains([for schedule in local.schedules : schedule.cron], "* * * * *") && contains(keys(local.functions), key)])
    error_message = "Only a function that a schedule runs every minute has a heartbeat."
  }
  assert {
    condition     = google_monitoring_alert_policy.schedules[0].conditions[0].condition_matched_log[0].filter == "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=(${join(" OR ", [for job in google_cloud_scheduler_job.command : "\"${job.name}\""])}) AND severity>=ERROR" && google_monitoring_alert_policy.schedules[0].alert_strategy[0].notification_rate_limit[0].period == "3600s" && google_monitoring_alert_policy.schedules[0].alert_strategy[0].auto_close == "3600s"
    error_message = "A job that fails: ${jsonencode(google_monitoring_alert_policy.schedules)}"
  }
  assert {
    condition     = alltrue([for alert in google_monitoring_alert_policy.watch : alert.conditions[0].condition_prometheus_query_language[0].disable_metric_validation && alert.conditions[0].condition_prometheus_query_language[0].evaluation_interval == "60s"])
    error_message = "An alert can be made before its metric has a point."
  }

  # People are told what to do.
  assert {
    condition     = { for key, channel in google_monitoring_notification_channel.email : key => [channel.type, channel.display_name, channel.labels.email_address, channel.project, channel.user_labels.app] } == { for address in ["ada@example.com", "bob@example.com"] : address => ["email", "Open Cloud Ops (oco): ${address}", address, "my-project", "open-cloud-ops"] }
    error_message = "A channel for each address."
  }
  assert {
    condition     = alltrue([for alert in concat(values(google_monitoring_alert_policy.watch), google_monitoring_alert_policy.schedules) : jsonencode(alert.notification_channels) == jsonencode(["channels/ada", "channels/bob"]) && alert.combiner == "OR"])
    error_message = "Every alert tells everybody."
  }
  assert {
    condition     = alltrue([for alert in concat(values(google_monitoring_alert_policy.watch), google_monitoring_alert_policy.schedules) : length(alert.documentation[0].content) > 60 && !strcontains(alert.documentation[0].content, "\n") && startswith(alert.display_name, "Open Cloud Ops (oco): ")])
    error_message = "Every alert says in a line what to do."
  }

  # The dashboard shows what exists.
  assert {
    condition     = [for tile in jsondecode(google_monitoring_dashboard.installation.dashboard_json).mosaicLayout.tiles : tile.widget.title] == yamldecode(templatefile("dashboards/panels.yaml", { functions = "", subscriptions = "", dead_letters = "", runs = "", prefix = "" }))[*].title
    error_message = "Every panel is a tile, in its order."
  }
  assert {
    condition     = alltrue([for panel in local.panels : join(" ", keys(panel)) == "kind monitoring row title unit"])
    error_message = "A panel has what the head of the file says."
  }
  assert {
    condition = length(setsubtract(
      flatten([
        for tile in jsondecode(google_monitoring_dashboard.installation.dashboard_json).mosaicLayout.tiles :
        flatten(regexall("\\{\"([^\"]+)\"", tile.widget.xyChart.dataSets[0].timeSeriesQuery.prometheusQuery))
      ]),
      concat([
        "pubsub.googleapis.com/subscription/num_undelivered_messages",
        "pubsub.googleapis.com/subscription/oldest_unacked_message_age",
        "run.googleapis.com/container/cpu/utilizations_bucket",
        "run.googleapis.com/container/instance_count",
        "run.googleapis.com/container/memory/utilizations_bucket",
        "run.googleapis.com/request_count",
        "run.googleapis.com/request_latencies_bucket",
      ], [for metric in google_logging_metric.runs : "logging.googleapis.com/user/${metric.name}"])
    )) == 0
    error_message = "A panel asks for a metric that nobody writes."
  }
  assert {
    condition = alltrue([
      for tile in jsondecode(google_monitoring_dashboard.installation.dashboard_json).mosaicLayout.tiles :
      alltrue([for label in ["monitored_resource=", "project_id=\"my-project\""] : strcontains(tile.widget.xyChart.dataSets[0].timeSeriesQuery.prometheusQuery, label)])
    ])
    error_message = "A panel asks for this installation."
  }
  assert {
    condition = length(distinct([
      for tile in jsondecode(google_monitoring_dashboard.installation.dashboard_json).mosaicLayout.tiles : "${try(tile.xPos, 0)} ${try(tile.yPos, 0)}"
      ])) == length(jsondecode(google_monitoring_dashboard.installation.dashboard_json).mosaicLayout.tiles) && alltrue([
      for tile in jsondecode(google_monitoring_dashboard.installation.dashboard_json).mosaicLayout.tiles :
      try(tile.xPos, 0) % tile.width == 0 && try(tile.xPos, 0) + tile.width <= 48 && try(tile.yPos, 0) % tile.height == 0 && try(tile.xPos, 1) > 0 && try(tile.yPos, 1) > 0
    ])
    error_message = "Tiles stand beside each other, and a position of 0 is left out."
  }
  assert {
    condition     = length(setsubtract([for tile in jsondecode(google_monitoring_dashboard.installation.dashboard_json).mosaicLayout.tiles : tile.widget.xyChart.dataSets[0].plotType], ["LINE", "STACKED_AREA"])) == 0
    error_message = "A panel is a line or stacked."
  }
}

run "a_table_without_schedules" {
  command = plan

  variables {
    functions_table = jsonencode(merge(yamldecode(file("../functions/functions.yaml")), { schedules = {} }))
  }

  assert {
    condition     = length(google_cloud_scheduler_job.command) == 0 && length(google_monitoring_alert_policy.schedules) == 0
    error_message = "Nobody watches jobs that are not there."
  }
}

run "nobody_is_told" {
  command = plan

  variables {
    monitoring = null
  }

  assert {
    condition     = length(google_monitoring_notification_channel.email) == 0 && length(google_monitoring_alert_policy.watch) == 5
    error_message = "Null is the default: the alerts are there, and tell nobody."
  }
}
