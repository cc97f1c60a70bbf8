# Datadog as a source of brownouts: what is asked, who is told, and with which token.

mock_provider "datadog" {
  mock_resource "datadog_monitor" {
    defaults = { id = "1234567" }
  }
}

variables {
  brownout_url = "https://webhook.run.app"
  token        = "0123456789abcdef"
}

run "a_first_rollout" {
  # The webhook shows the token without naming it.
  assert {
    condition = alltrue([
      datadog_webhook_custom_variable.token.name == "OCO_BROWNOUT_TOKEN",
      datadog_webhook_custom_variable.token.is_secret,
      nonsensitive(datadog_webhook_custom_variable.token.value) == "0123456789abcdef",
      datadog_webhook.brownout.name == "oco-brownout",
      datadog_webhook.brownout.url == "https://webhook.run.app/api/webhooks/datadog/brownout",
      datadog_webhook.brownout.encode_as == "json",
      datadog_webhook.brownout.custom_headers == "{\"X-Brownout-Token\":\"$OCO_BROWNOUT_TOKEN\"}",
    ])
    error_message = "The webhook: ${jsonencode(datadog_webhook.brownout)}"
  }
  assert {
    condition = jsondecode(datadog_webhook.brownout.payload) == {
      v       = 1, id = "$ID", cycle = "$ALERT_CYCLE_KEY", monitor = "$ALERT_ID", transition = "$ALERT_TRANSITION",
      type    = "$ALERT_TYPE", priority = "$ALERT_PRIORITY", scope = "$ALERT_SCOPE", tags = "$TAGS", date = "$DATE",
      updated = "$LAST_UPDATED", org = "$ORG_ID", link = "$LINK", aggreg = "$AGGREG_KEY",
    }
    error_message = "The payload: ${datadog_webhook.brownout.payload}"
  }

  # A monitor for each threshold.
  assert {
    condition = jsonencode({ for key, monitor in datadog_monitor.brownout : key => monitor.query }) == jsonencode({
      emergency-cost              = "avg(last_5m):sum:custom.token_cost_per_hour{service:open-cloud-ops} > 200"
      emergency-errors            = "sum(last_1m):sum:custom.service.requests{service:open-cloud-ops,outcome:upstream_error}.as_count() / (sum:custom.service.requests{service:open-cloud-ops}.as_count() - sum:custom.service.requests{service:open-cloud-ops,outcome:client_error}.as_count()) > 0.2"
      emergency-latency-anthropic = "avg(last_1m):avg:custom.llm.ttft.p95{service:open-cloud-ops,provider:anthropic} > 10"
      emergency-latency-google    = "avg(last_1m):avg:custom.llm.ttft.p95{service:open-cloud-ops,provider:google} > 10"
      emergency-latency-openai    = "avg(last_1m):avg:custom.llm.ttft.p95{service:open-cloud-ops,provider:openai} > 10"
      hard-cost                   = "avg(last_5m):sum:custom.token_cost_per_hour{service:open-cloud-ops} > 100"
      hard-errors                 = "sum(last_2m):sum:custom.service.requests{service:open-cloud-ops,outcome:upstream_error}.as_count() / (sum:custom.service.requests{service:open-cloud-ops}.as_count() - sum:custom.service.requests{service:open-cloud-ops,outcome:client_error}.as_count()) > 0.1"
      hard-latency-anthropic      = "avg(last_2m):avg:custom.llm.ttft.p95{service:open-cloud-ops,provider:anthropic} > 5"
      hard-latency-google         = "avg(last_2m):avg:custom.llm.ttft.p95{service:open-cloud-ops,provider:google} > 5"
      hard-latency-openai         = "avg(last_2m):avg:custom.llm.ttft.p95{service:open-cloud-ops,provider:openai} > 5"
      soft-cost                   = "avg(last_5m):sum:custom.token_cost_per_hour{service:open-cloud-ops} > 50"
      soft-errors                 = "sum(last_3m):sum:custom.service.requests{service:open-cloud-ops,outcome:upstream_error}.as_count() / (sum:custom.service.requests{service:open-cloud-ops}.as_count() - sum:custom.service.requests{service:open-cloud-ops,outcome:client_error}.as_count()) > 0.05"
      soft-latency-anthropic      = "avg(last_5m):avg:custom.llm.ttft.p95{service:open-cloud-ops,provider:anthropic} > 2"
      soft-latency-google         = "avg(last_5m):avg:custom.llm.ttft.p95{service:open-cloud-ops,provider:google} > 2"
      soft-latency-openai         = "avg(last_5m):avg:custom.llm.ttft.p95{service:open-cloud-ops,provider:openai} > 2"
    })
    error_message = "Queries: ${jsonencode({ for key, monitor in datadog_monitor.brownout : key => monitor.query })}"
  }
  assert {
    condition     = alltrue([for monitor in datadog_monitor.brownout : endswith(monitor.query, " > ${monitor.monitor_thresholds[0].critical}") && tonumber(monitor.monitor_thresholds[0].critical_recovery) < tonumber(monitor.monitor_thresholds[0].critical)])
    error_message = "A monitor's threshold is the one of its query, and it is over below that."
  }
  assert {
    condition = { for key, monitor in datadog_monitor.brownout : key => monitor.monitor_thresholds[0].critical_recovery if length(regexall("^(soft|hard)-(cost|errors)$|^soft-latency-openai$", key)) > 0 } == {
      hard-cost = "70", hard-errors = "0.06", soft-cost = "35", soft-errors = "0.03", soft-latency-openai = "1.4",
    }
    error_message = "An alert is over where the policy says."
  }
  assert {
    condition = alltrue([
      for key, monitor in datadog_monitor.brownout : jsonencode(sort(monitor.tags)) == jsonencode([
        "brownout:${split("-", key)[0]}",
        strcontains(key, "latency") ? "brownout_scope:provider:${split("-", key)[2]}" : "brownout_scope:global",
        "service:open-cloud-ops",
      ])
    ])
    error_message = "Tags say the level and the scope: ${jsonencode({ for key, monitor in datadog_monitor.brownout : key => monitor.tags })}"
  }
  assert {
    condition     = { for key, monitor in datadog_monitor.brownout : split("-", key)[0] => monitor.priority... } == { soft = ["3", "3", "3", "3", "3"], hard = ["2", "2", "2", "2", "2"], emergency = ["1", "1", "1", "1", "1"] }
    error_message = "The worst comes first."
  }
  assert {
    condition = alltrue([
      for monitor in datadog_monitor.brownout : alltrue([
        monitor.type == "query alert",
        endswith(monitor.message, ", and comes back by itself. @webhook-oco-brownout"),
        startswith(monitor.name, "Open Cloud Ops (oco): "),
        monitor.renotify_interval == 10,
        jsonencode(monitor.renotify_statuses) == jsonencode(["alert"]),
        monitor.on_missing_data == "default",
        monitor.require_full_window == false,
        monitor.include_tags == false,
        monitor.validate == false,
        monitor.draft_status == "draft",
      ])
    ])
    error_message = "Every monitor tells the webhook, again every 10 minutes, and is a draft at first."
  }
  assert {
    condition = alltrue([
      datadog_monitor.brownout["soft-errors"].message == "errors of providers above 5 %: the gateway goes into the mode soft for global, and comes back by itself. @webhook-oco-brownout",
      datadog_monitor.brownout["hard-latency-openai"].name == "Open Cloud Ops (oco): first chunks of openai take longer than 5 s (p95)",
    ])
    error_message = "What people read: ${datadog_monitor.brownout["soft-errors"].message}"
  }
  assert {
    condition     = length(datadog_metric_tag_configuration.percentiles) == 0 && length(output.unwatched) == 0 && output.webhook == "oco-brownout" && output.monitors["soft-errors"] == "1234567"
    error_message = "Outputs: ${jsonencode(output.unwatched)}"
  }

  # The dashboard.
  assert {
    condition = [
      for group in jsondecode(datadog_dashboard_json.calls.dashboard).widgets : "${group.definition.title}: ${join(", ", [for widget in group.definition.widgets : widget.definition.title])}"
      ] == [
      for row in distinct(yamldecode(templatefile("../../dashboards/calls.yaml", { filter = "" }))[*].row) :
      "${row}: ${join(", ", [for panel in yamldecode(templatefile("../../dashboards/calls.yaml", { filter = "" })) : panel.title if panel.row == row && !can(panel.percentiles)])}"
    ]
    error_message = "Every panel has its place: ${datadog_dashboard_json.calls.dashboard}"
  }
  assert {
    condition = alltrue(flatten([
      for group in jsondecode(datadog_dashboard_json.calls.dashboard).widgets : [
        group.definition.type == "group" && group.definition.layout_type == "ordered",
        [
          for widget in group.definition.widgets : [
            widget.definition.type == "timeseries",
            length(widget.definition.requests) > 0,
            [
              for request in widget.definition.requests : alltrue([
                contains(["line", "area", "bars"], request.display_type),
                request.response_format == "timeseries",
                request.queries[0].data_source == "metrics",
                request.formulas[0].formula == request.queries[0].name,
                can(regex("^(avg|max|min|sum):[a-z0-9_.]+\\{service:open-cloud-ops\\}", request.queries[0].query)),
              ])
            ],
          ]
        ],
      ]
    ]))
    error_message = "A widget draws what it asks for."
  }
  assert {
    condition     = jsondecode(datadog_dashboard_json.calls.dashboard).title == "Open Cloud Ops (oco): calls and brownouts" && jsondecode(datadog_dashboard_json.calls.dashboard).layout_type == "ordered"
    error_message = "The dashboard's name tells installations apart."
  }
}

run "everything_that_can_be_chosen" {
  variables {
    google_integration = true
    llm_providers      = ["groq"]
    measures           = ["latency_p95", "error_rate"]
    policy_file        = "tests/own.yaml"
    prefix             = "my-ops"
    published          = true
    service            = "my-gateway"
  }

  assert {
    condition = jsonencode({ for key, monitor in datadog_monitor.brownout : key => [monitor.query, monitor.monitor_thresholds[0].critical, monitor.monitor_thresholds[0].critical_recovery, [for tag in sort(monitor.tags) : tag if tag != "service:my-gateway"]] }) == jsonencode({
      hard-pending = [
        "avg(last_1m):sum:gcp.run.pending_queue.pending_requests{service_name:my-ops-proxy} > 100", "100", "50",
        ["brownout:hard", "brownout_scope:global"],
      ]
      soft-latency-groq = [
        "avg(last_5m):avg:custom.llm.ttft.p95{service:my-gateway,provider:groq} > 0.8", "0.8", "0.56",
        ["brownout:soft", "brownout_scope:provider:groq"],
      ]
      soft-memory = [
        "avg(last_5m):avg:gcp.run.container.memory.utilizations.p95{service_name:my-ops-proxy} > 0.85", "0.85", "0.75",
        ["brownout:soft", "brownout_scope:global"],
      ]
    })
    error_message = "Monitors: ${jsonencode(datadog_monitor.brownout)}"
  }
  assert {
    condition     = alltrue([for monitor in datadog_monitor.brownout : monitor.draft_status == "published" && strcontains(monitor.message, "@webhook-my-ops-brownout") && startswith(monitor.name, "Open Cloud Ops (my-ops): ")])
    error_message = "Published monitors speak."
  }
  assert {
    condition     = datadog_webhook_custom_variable.token.name == "MY_OPS_BROWNOUT_TOKEN" && strcontains(datadog_webhook.brownout.custom_headers, "$MY_OPS_BROWNOUT_TOKEN")
    error_message = "Two installations have two tokens."
  }
  assert {
    condition     = join("; ", output.unwatched) == "emergency latency_p95 of total; model:slow"
    error_message = "What nobody watches is said: ${jsonencode(output.unwatched)}"
  }
  assert {
    condition     = length(datadog_metric_tag_configuration.percentiles) == 0 && !strcontains(datadog_dashboard_json.calls.dashboard, "p99:")
    error_message = "Percentiles cost extra, and are kept only when asked for."
  }
}

run "percentiles" {
  variables {
    percentiles = true
    published   = true
    service     = "my-gateway"
  }

  assert {
    condition = jsonencode({ for key, metric in datadog_metric_tag_configuration.percentiles : key => [metric.metric_name, metric.metric_type, metric.include_percentiles, sort(metric.tags)] }) == jsonencode({
      "custom.llm.response.duration"                = ["custom.llm.response.duration", "distribution", true, ["mode", "model", "provider", "service"]]
      "gen_ai.client.operation.time_to_first_chunk" = ["gen_ai.client.operation.time_to_first_chunk", "distribution", true, ["gen_ai.provider.name", "gen_ai.request.model", "service"]]
    })
    error_message = "Percentiles: ${jsonencode(datadog_metric_tag_configuration.percentiles)}"
  }
  assert {
    condition     = length(datadog_monitor.brownout) == 15 && alltrue([for monitor in datadog_monitor.brownout : monitor.draft_status == "published"])
    error_message = "Monitors of Cloud Run are there only with Datadog's integration."
  }
  assert {
    condition     = length(flatten([for group in jsondecode(datadog_dashboard_json.calls.dashboard).widgets : group.definition.widgets])) == length(yamldecode(templatefile("../../dashboards/calls.yaml", { filter = "" }))) && strcontains(datadog_dashboard_json.calls.dashboard, "p99:custom.llm.response.duration{service:my-gateway}")
    error_message = "With percentiles every panel is there."
  }
}

run "no_address" {
  command = plan

  variables {
    brownout_url = "http://webhook.run.app"
  }

  expect_failures = [var.brownout_url]
}

run "an_address_with_a_path" {
  command = plan

  variables {
    brownout_url = "https://webhook.run.app/api"
  }

  expect_failures = [var.brownout_url]
}

run "no_provider" {
  command = plan

  variables {
    llm_providers = ["OpenAI"]
  }

  expect_failures = [var.llm_providers]
}

run "no_measure" {
  command = plan

  variables {
    measures = ["latency"]
  }

  expect_failures = [var.measures]
}

run "no_prefix" {
  command = plan

  variables {
    prefix = "a-name-too-long"
  }

  expect_failures = [var.prefix]
}

run "no_service" {
  command = plan

  variables {
    service = "My gateway"
  }

  expect_failures = [var.service]
}

run "a_short_token" {
  command = plan

  variables {
    token = "0123456789abcde"
  }

  expect_failures = [var.token]
}

run "two_tokens" {
  command = plan

  variables {
    token = "0123456789abcdef,0123456789abcdeg"
  }

  expect_failures = [var.token]
}
