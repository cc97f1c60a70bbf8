variable "brownout_url" {
  description = "Address of the function brownout_webhook: function_urls of the installation has it."
  type        = string

  validation {
    condition     = can(regex("^https://[^/?#\\s]+$", var.brownout_url))
    error_message = "brownout_url is https:// and a host, such as \"https://oco-brownout-webhook-abc-ew.a.run.app\", without a path."
  }
}

variable "google_integration" {
  description = "Whether Datadog's Google Cloud integration brings the metrics of Cloud Run: memory and waiting requests of the proxy are watched then."
  type        = bool
  default     = false
}

variable "llm_providers" {
  description = "Providers whose latency is watched, by their names in prices: a slow one is no reason to touch the others' calls."
  type        = set(string)
  default     = ["anthropic", "google", "openai"]

  validation {
    condition     = alltrue([for name in var.llm_providers : can(regex("^[a-z0-9][a-z0-9._-]{0,119}$", name))])
    error_message = "llm_providers are names of providers in lower case, such as \"openai\"."
  }
}

variable "measures" {
  description = "Thresholds of the policy that become monitors."
  type        = set(string)
  default     = ["error_rate", "latency_p95", "token_cost_per_hour"]

  validation {
    condition     = length(setsubtract(var.measures, ["error_rate", "latency_p95", "token_cost_per_hour"])) == 0
    error_message = "measures are some of error_rate, latency_p95 and token_cost_per_hour."
  }
}

variable "percentiles" {
  description = "Whether percentiles are kept of the distributions, and shown. Datadog refuses it before the metrics exist, and charges for it."
  type        = bool
  default     = false
}

variable "policy_file" {
  description = "Path of the policy whose thresholds are watched. Null is the one that comes with the code."
  type        = string
  default     = null
}

variable "prefix" {
  description = "What the names begin with: the prefix of the installation."
  type        = string
  default     = "oco"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,9}[a-z0-9]$", var.prefix))
    error_message = "prefix has 2 to 11 characters: lower-case letters, digits and -, a letter first and no - last, such as \"oco\"."
  }
}

variable "published" {
  description = "Whether monitors speak. A first rollout makes drafts: they are judged and tell nobody."
  type        = bool
  default     = false
}

variable "service" {
  description = "The service that the gateway's metrics name: OTEL_SERVICE_NAME."
  type        = string
  default     = "open-cloud-ops"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_./-]{0,99}$", var.service))
    error_message = "service is a value of Datadog's tag service, such as \"open-cloud-ops\"."
  }
}

variable "token" {
  description = "One of the tokens in the installation's secret brownout-tokens. It is stored in the state."
  type        = string
  sensitive   = true

  validation {
    condition     = can(regex("^[^\\s,]{16,}$", var.token))
    error_message = "token is one token of 16 characters or more, without a comma."
  }
}
