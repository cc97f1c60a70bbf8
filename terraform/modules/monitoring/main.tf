# Cloud Monitoring as a source of brownouts: what Cloud Run says of the proxy, held against the
# thresholds of the policy. Latency of first chunks and cost are known to the gateway alone.

module "policy" {
  source = "../policy"

  policy_file = var.policy_file
}

# Basic authentication: a token in the address would stand in every request log.
resource "google_monitoring_notification_channel" "brownout" {
  project      = var.project_id
  display_name = "Open Cloud Ops (${var.prefix}): brownouts"
  type         = "webhook_basicauth"
  labels       = { url = "${var.brownout_url}/api/webhooks/monitoring", username = "brownout" }
  user_labels  = local.labels

  sensitive_labels {
    password = var.token
  }
}

locals {
  labels     = merge(var.labels, { app = "open-cloud-ops" })
  proxy      = "monitored_resource=\"cloud_run_revision\",project_id=\"${var.project_id}\",service_name=\"${var.prefix}-proxy\""
  windows    = { soft = "3m", hard = "2m", emergency = "2m" }
  severities = { soft = "WARNING", hard = "ERROR", emergency = "CRITICAL" }

  # 501 says that the caller asked for something that does not exist. 503 is the gateway's own word to
  # callers who rather wait than be given less: counted, an emergency would keep itself alive.
  of_errors = {
    for each in module.policy.thresholds : "${each.level}-errors" => {
      level    = each.level
      title    = "the proxy answers more than ${format("%.4g", each.above * 100)} % with 5xx"
      query    = "sum(rate({\"run.googleapis.com/request_count\",${local.proxy},response_code_class=\"5xx\",response_code!~\"501|503\"}[${local.windows[each.level]}])) / sum(rate({\"run.googleapis.com/request_count\",${local.proxy}}[${local.windows[each.level]}])) > ${each.above} and sum(increase({\"run.googleapis.com/request_count\",${local.proxy}}[${local.windows[each.level]}])) >= ${each.calls}"
      duration = "60s"
    } if each.measure == "error_rate"
  }
  alerts = merge(local.of_errors, {
    soft-memory = {
      level    = "soft"
      title    = "an instance of the proxy uses more than 85 % of its memory (p95)"
      query    = "histogram_quantile(0.95, sum by (le) (rate({\"run.googleapis.com/container/memory/utilizations_bucket\",${local.proxy}}[5m]))) > 0.85"
      duration = "300s"
    }
    hard-pending = {
      level    = "hard"
      title    = "more than 100 requests wait for an instance of the proxy"
      query    = "sum({\"run.googleapis.com/pending_queue/pending_requests\",${local.proxy}}) > 100"
      duration = "60s"
    }
  })
}

resource "google_monitoring_alert_policy" "brownout" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = "Open Cloud Ops (${var.prefix}): ${each.value.title}"
  combiner              = "OR"
  severity              = local.severities[each.value.level]
  notification_channels = [google_monitoring_notification_channel.brownout.name]
  user_labels           = merge(local.labels, { brownout = each.value.level, brownout_scope_kind = "global" })

  conditions {
    display_name = each.value.title

    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = each.value.duration
      evaluation_interval       = "30s"
      disable_metric_validation = true # a metric exists from its first point on
    }
  }

  # Half an hour is the shortest that Cloud Monitoring takes, for both.
  alert_strategy {
    auto_close           = "1800s"
    notification_prompts = ["OPENED", "CLOSED"]

    notification_channel_strategy {
      notification_channel_names = [google_monitoring_notification_channel.brownout.name]
      renotify_interval          = "1800s"
    }
  }

  documentation {
    content = "The gateway goes into the mode ${each.value.level} for all calls, and comes back by itself."
  }
}
