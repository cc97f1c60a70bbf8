# Datadog as a source of brownouts: its alerts go to the function brownout_webhook. Nothing else of the
# installation needs this.

module "policy" {
  source = "../policy"

  policy_file = var.policy_file
}

# Datadog has no reference to a secret: the token stands in its settings, hidden, and in the state.
resource "datadog_webhook_custom_variable" "token" {
  name      = "${replace(upper(var.prefix), "-", "_")}_BROWNOUT_TOKEN"
  value     = var.token
  is_secret = true
}

# No free text: nobody says what Datadog does with quotes in it.
resource "datadog_webhook" "brownout" {
  name           = "${var.prefix}-brownout"
  url            = "${var.brownout_url}/api/webhooks/datadog/brownout"
  encode_as      = "json"
  custom_headers = jsonencode({ X-Brownout-Token = format("$%s", datadog_webhook_custom_variable.token.name) })

  payload = jsonencode({
    v          = 1
    aggreg     = "$AGGREG_KEY"
    cycle      = "$ALERT_CYCLE_KEY"
    date       = "$DATE"
    id         = "$ID"
    link       = "$LINK"
    monitor    = "$ALERT_ID"
    org        = "$ORG_ID"
    priority   = "$ALERT_PRIORITY"
    scope      = "$ALERT_SCOPE"
    tags       = "$TAGS"
    transition = "$ALERT_TRANSITION"
    type       = "$ALERT_TYPE"
    updated    = "$LAST_UPDATED"
  })
}

resource "datadog_metric_tag_configuration" "percentiles" {
  for_each = var.percentiles ? local.distributions : {}

  metric_name         = each.key
  metric_type         = "distribution"
  tags                = each.value
  include_percentiles = true
}

locals {
  distributions = {
    "custom.llm.response.duration"                = ["mode", "model", "provider", "service"]
    "gen_ai.client.operation.time_to_first_chunk" = ["gen_ai.provider.name", "gen_ai.request.model", "service"]
  }
}
