# Cloud Monitoring as a source of brownouts: what is asked, and who is told.

mock_provider "google" {
  mock_resource "google_monitoring_notification_channel" {
    defaults = { name = "projects/my-project/notificationChannels/17" }
  }
  mock_resource "google_monitoring_alert_policy" {
    defaults = { name = "projects/my-project/alertPolicies/23" }
  }
}

variables {
  project_id   = "my-project"
  brownout_url = "https://webhook.run.app"
  token        = "0123456789abcdef"
}

run "a_watched_proxy" {
  assert {
    condition = alltrue([
      google_monitoring_notification_channel.brownout.project == "my-project",
      google_monitoring_notification_channel.brownout.type == "webhook_basicauth",
      google_monitoring_notification_channel.brownout.labels == tomap({ url = "https://webhook.run.app/api/webhooks/monitoring", username = "brownout" }),
      nonsensitive(google_monitoring_notification_channel.brownout.sensitive_labels[0].password) == "0123456789abcdef",
      google_monitoring_notification_channel.brownout.user_labels == tomap({ app = "open-cloud-ops" }),
      google_monitoring_notification_channel.brownout.display_name == "Open Cloud Ops (oco): brownouts",
    ])
    error_message = "The channel shows the token as a password, and not in its address."
  }
  assert {
    condition = jsonencode({ for key, alert in google_monitoring_alert_policy.brownout : key => [alert.conditions[0].condition_prometheus_query_language[0].query, alert.conditions[0].condition_prometheus_query_language[0].duration, alert.severity] }) == jsonencode(merge(
      {
        for level, row in { soft = ["3m", "0.05", "WARNING"], hard = ["2m", "0.1", "ERROR"], emergency = ["2m", "0.2", "CRITICAL"] } : "${level}-errors" => [
          "sum(rate({\"run.googleapis.com/request_count\",monitored_resource=\"cloud_run_revision\",project_id=\"my-project\",service_name=\"oco-proxy\",response_code_class=\"5xx\",response_code!~\"501|503\"}[${row[0]}])) / sum(rate({\"run.googleapis.com/request_count\",monitored_resource=\"cloud_run_revision\",project_id=\"my-project\",service_name=\"oco-proxy\"}[${row[0]}])) > ${row[1]} and sum(increase({\"run.googleapis.com/request_count\",monitored_resource=\"cloud_run_revision\",project_id=\"my-project\",service_name=\"oco-proxy\"}[${row[0]}])) >= 20",
          "60s",
          row[2],
        ]
      },
      {
        hard-pending = [
          "sum({\"run.googleapis.com/pending_queue/pending_requests\",monitored_resource=\"cloud_run_revision\",project_id=\"my-project\",service_name=\"oco-proxy\"}) > 100",
          "60s",
          "ERROR",
        ]
        soft-memory = [
          "histogram_quantile(0.95, sum by (le) (rate({\"run.googleapis.com/container/memory/utilizations_bucket\",monitored_resource=\"cloud_run_revision\",project_id=\"my-project\",service_name=\"oco-proxy\"}[5m]))) > 0.85",
          "300s",
          "WARNING",
        ]
      },
    ))
    error_message = "Queries: ${jsonencode({ for key, alert in google_monitoring_alert_policy.brownout : key => alert.conditions[0].condition_prometheus_query_language[0].query })}"
  }
  assert {
    condition     = alltrue([for key, alert in google_monitoring_alert_policy.brownout : alert.user_labels == tomap({ app = "open-cloud-ops", brownout = split("-", key)[0], brownout_scope_kind = "global" })])
    error_message = "Labels say the level and the scope."
  }
  assert {
    condition = alltrue([
      for alert in google_monitoring_alert_policy.brownout : alltrue([
        alert.project == "my-project",
        alert.combiner == "OR",
        startswith(alert.display_name, "Open Cloud Ops (oco): "),
        alert.notification_channels == tolist(["projects/my-project/notificationChannels/17"]),
        alert.alert_strategy[0].auto_close == "1800s",
        alert.alert_strategy[0].notification_prompts == tolist(["OPENED", "CLOSED"]),
        alert.alert_strategy[0].notification_channel_strategy[0].renotify_interval == "1800s",
        alert.alert_strategy[0].notification_channel_strategy[0].notification_channel_names == tolist(["projects/my-project/notificationChannels/17"]),
        alert.conditions[0].condition_prometheus_query_language[0].evaluation_interval == "30s",
        alert.conditions[0].condition_prometheus_query_language[0].disable_metric_validation,
      ])
    ])
    error_message = "Every alert tells the gateway when it opens, every half an hour, and when it closes."
  }
  assert {
    condition     = google_monitoring_alert_policy.brownout["soft-errors"].conditions[0].display_name == "the proxy answers more than 5 % with 5xx" && google_monitoring_alert_policy.brownout["hard-pending"].documentation[0].content == "The gateway goes into the mode hard for all calls, and comes back by itself."
    error_message = "What people read."
  }
  assert {
    condition     = output.channel == "projects/my-project/notificationChannels/17" && output.alerts["soft-memory"] == "projects/my-project/alertPolicies/23" && length(output.alerts) == 5
    error_message = "Outputs."
  }
}

run "everything_that_can_be_chosen" {
  variables {
    labels      = { team = "platform" }
    policy_file = "tests/own.yaml"
    prefix      = "my-ops"
  }

  assert {
    condition     = join(" ", keys(google_monitoring_alert_policy.brownout)) == "hard-errors hard-pending soft-memory" && endswith(google_monitoring_alert_policy.brownout["hard-errors"].conditions[0].condition_prometheus_query_language[0].query, ">= 50") && strcontains(google_monitoring_alert_policy.brownout["hard-errors"].conditions[0].condition_prometheus_query_language[0].query, "> 0.25 and ")
    error_message = "Thresholds are those of the policy that is given."
  }
  assert {
    condition     = alltrue([for alert in google_monitoring_alert_policy.brownout : alert.user_labels["team"] == "platform" && alert.user_labels["app"] == "open-cloud-ops" && startswith(alert.display_name, "Open Cloud Ops (my-ops): ") && strcontains(alert.conditions[0].condition_prometheus_query_language[0].query, "service_name=\"my-ops-proxy\"")])
    error_message = "Labels are merged, and the proxy is that of the prefix."
  }
  assert {
    condition     = google_monitoring_notification_channel.brownout.user_labels == tomap({ app = "open-cloud-ops", team = "platform" }) && google_monitoring_notification_channel.brownout.display_name == "Open Cloud Ops (my-ops): brownouts"
    error_message = "The channel is that of the prefix."
  }
}

run "no_address" {
  command = plan

  variables {
    brownout_url = "webhook.run.app"
  }

  expect_failures = [var.brownout_url]
}

run "no_project" {
  command = plan

  variables {
    project_id = "123456"
  }

  expect_failures = [var.project_id]
}

run "no_prefix" {
  command = plan

  variables {
    prefix = "-"
  }

  expect_failures = [var.prefix]
}

run "no_token" {
  command = plan

  variables {
    token = "short"
  }

  expect_failures = [var.token]
}
