variable "brownout_url" {
  description = "Address of the function brownout_webhook: function_urls of the installation has it."
  type        = string

  validation {
    condition     = can(regex("^https://[^/?#\\s]+$", var.brownout_url))
    error_message = "brownout_url is https:// and a host, such as \"https://oco-brownout-webhook-abc-ew.a.run.app\", without a path."
  }
}

variable "labels" {
  description = "Labels of channel and policies, beside app=open-cloud-ops and those that say the mode."
  type        = map(string)
  default     = {}
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

variable "project_id" {
  description = "The Google Cloud project of the installation."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is the project's id, such as \"my-project-123\": neither its name nor its number."
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
