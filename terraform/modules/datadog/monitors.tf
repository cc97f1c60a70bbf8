# A monitor for each threshold of the policy. Its tags say which mode it asks for and of which calls.

locals {
  # Minutes that a threshold has to be exceeded in, on average.
  windows = {
    error_rate          = { soft = 3, hard = 2, emergency = 1 }
    latency_p95         = { soft = 5, hard = 2, emergency = 1 }
    token_cost_per_hour = { soft = 5, hard = 5, emergency = 5 }
  }
  priorities = { soft = "3", hard = "2", emergency = "1" }

  thresholds = [for each in module.policy.thresholds : each if contains(var.measures, each.measure)]
  calls      = "sum:custom.service.requests{service:${var.service}}.as_count()"
  failed     = "sum:custom.service.requests{service:${var.service},outcome:upstream_error}.as_count()"
  refused    = "sum:custom.service.requests{service:${var.service},outcome:client_error}.as_count()"
  proxy      = "service_name:${var.prefix}-proxy"

  of_errors = {
    for each in local.thresholds : "${each.level}-errors" => merge(each, {
      title = "errors of providers above ${format("%.4g", each.above * 100)} %"
      scope = "global"
      query = "sum(last_${local.windows.error_rate[each.level]}m):${local.failed} / (${local.calls} - ${local.refused}) > ${each.above}"
    }) if each.measure == "error_rate"
  }
  of_cost = {
    for each in local.thresholds : "${each.level}-cost" => merge(each, {
      title = "calls cost more than ${each.above} USD an hour"
      scope = "global"
      query = "avg(last_${local.windows.token_cost_per_hour[each.level]}m):sum:custom.token_cost_per_hour{service:${var.service}} > ${each.above}"
    }) if each.measure == "token_cost_per_hour"
  }
  # The gauge tells of first chunks alone.
  of_latency = merge([
    for name in var.llm_providers : {
      for each in local.thresholds : "${each.level}-latency-${name}" => merge(each, {
        title = "first chunks of ${name} take longer than ${each.above} s (p95)"
        scope = "provider:${name}"
        query = "avg(last_${local.windows.latency_p95[each.level]}m):avg:custom.llm.ttft.p95{service:${var.service},provider:${name}} > ${each.above}"
      }) if each.measure == "latency_p95" && each.of == "first_chunk"
    }
  ]...)
  of_cloud_run = { for key, each in {
    soft-memory = {
      level   = "soft"
      title   = "an instance of the proxy uses more than 85 % of its memory (p95)"
      scope   = "global"
      query   = "avg(last_5m):avg:gcp.run.container.memory.utilizations.p95{${local.proxy}} > 0.85"
      above   = "0.85"
      recover = "0.75"
    }
    hard-pending = {
      level   = "hard"
      title   = "more than 100 requests wait for an instance of the proxy"
      scope   = "global"
      query   = "avg(last_1m):sum:gcp.run.pending_queue.pending_requests{${local.proxy}} > 100"
      above   = "100"
      recover = "50"
    }
  } : key => each if var.google_integration }

  monitors = merge(local.of_errors, local.of_cost, local.of_latency, local.of_cloud_run)
}

resource "datadog_monitor" "brownout" {
  for_each = local.monitors

  name     = "Open Cloud Ops (${var.prefix}): ${each.value.title}"
  type     = "query alert"
  query    = each.value.query
  message  = "${each.value.title}: the gateway goes into the mode ${each.value.level} for ${each.value.scope}, and comes back by itself. @webhook-${datadog_webhook.brownout.name}"
  priority = local.priorities[each.value.level]
  tags     = ["brownout:${each.value.level}", "brownout_scope:${each.value.scope}", "service:${var.service}"]

  monitor_thresholds {
    critical          = each.value.above
    critical_recovery = each.value.recover
  }

  # Each word of an alert holds for half an hour in the gateway: it has to be said again.
  renotify_interval   = 10
  renotify_statuses   = ["alert"]
  on_missing_data     = "default"
  require_full_window = false
  include_tags        = false
  validate            = false # Datadog refuses monitors of metrics that it has not seen
  draft_status        = var.published ? "published" : "draft"
}
