variable "bundle_dir" {
  description = "Folder that scripts/bundle wrote: zips and manifest.json. Null is dist/ beside terraform/."
  type        = string
  default     = null
}

variable "console_admins" {
  description = "E-mail addresses that may use the API. Each needs a token of its own and stands in private_callers too."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.console_admins : can(regex("^[^@\\s,:]+@[^@\\s,:]+$", address))])
    error_message = "Each of console_admins is an e-mail address, such as \"ada@example.com\", without \"user:\" before it."
  }
}

variable "console_members" {
  description = "Members that may pass Identity-Aware Proxy, such as \"user:ada@example.com\". None: nobody passes."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.console_members : can(regex("^(user|group|serviceAccount):[^@\\s]+@[^@\\s]+$|^domain:[^@\\s]+$", member))])
    error_message = "Each of console_members begins with user:, group:, serviceAccount: or domain:, such as \"user:ada@example.com\"."
  }
}

variable "deletion_protection" {
  description = "Whether database, dataset and tables refuse to be deleted. Set it to false and apply before you destroy the installation with its data."
  type        = bool
  default     = true
}

variable "functions" {
  description = "What differs from functions/functions.yaml, by function: memory, concurrency, instances, and more environment variables."
  type = map(object({
    memory      = optional(string)
    concurrency = optional(number)
    instances   = optional(object({ min = number, max = number }))
    env         = optional(map(string), {})
  }))
  default = {}

  validation {
    condition = alltrue([
      for row in values(var.functions) :
      row.instances == null ? true : row.instances.min >= 0 && row.instances.max >= max(1, row.instances.min)
    ])
    error_message = "instances of functions: min is 0 or more, max is 1 or more and not below min."
  }

  validation {
    condition     = alltrue([for row in values(var.functions) : can(regex("^[1-9][0-9]*[MG]i$", coalesce(row.memory, "512Mi")))])
    error_message = "memory of functions is a whole number of Mi or Gi, such as \"512Mi\"."
  }

  validation {
    condition     = alltrue([for row in values(var.functions) : coalesce(row.concurrency, 1) >= 1 && coalesce(row.concurrency, 1) <= 1000])
    error_message = "concurrency of functions is 1 to 1000 requests."
  }
}

variable "functions_table" {
  description = "Text of another table of functions, in the form of functions/functions.yaml. Null is that one."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of everything that takes labels, beside app=open-cloud-ops."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name, value in var.labels :
      can(regex("^[a-z][a-z0-9_-]{0,62}$", name)) && can(regex("^[a-z0-9_-]{0,63}$", value)) && name != "app"
    ])
    error_message = "labels hold lower-case letters, digits, _ and -, such as {team = \"platform\"}. \"app\" is taken."
  }
}

variable "monitoring" {
  description = "Who is told when the installation itself is in trouble: e-mail addresses. None: the alerts exist and tell nobody."
  type = object({
    emails = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for address in var.monitoring.emails : can(regex("^[^@\\s]+@[^@\\s]+$", address))])
    error_message = "monitoring.emails are e-mail addresses, such as \"ops@example.com\"."
  }
}

variable "prefix" {
  description = "What every name begins with: two installations in one project have two."
  type        = string
  default     = "oco"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,9}[a-z0-9]$", var.prefix))
    error_message = "prefix has 2 to 11 characters: lower-case letters, digits and -, a letter first and no - last, such as \"oco\"."
  }
}

variable "private_callers" {
  description = "Members that may call the API, such as \"user:ada@example.com\" or \"serviceAccount:ci@my-project.iam.gserviceaccount.com\"."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.private_callers : can(regex("^(user|group|serviceAccount):[^@\\s]+@[^@\\s]+$|^domain:[^@\\s]+$", member))])
    error_message = "Each of private_callers begins with user:, group:, serviceAccount: or domain:, such as \"user:ada@example.com\"."
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

variable "public_invokers" {
  description = "Members that may call the proxy and the webhook. Where the organisation forbids allUsers, name the callers' accounts: they then send their identity in X-Serverless-Authorization."
  type        = list(string)
  default     = ["allUsers"]

  validation {
    condition     = alltrue([for member in var.public_invokers : can(regex("^(allUsers|allAuthenticatedUsers)$|^(user|group|serviceAccount):[^@\\s]+@[^@\\s]+$|^domain:[^@\\s]+$", member))])
    error_message = "Each of public_invokers is allUsers, or begins with user:, group:, serviceAccount: or domain:, such as \"group:apps@example.com\"."
  }
}

variable "region" {
  description = "Region of everything. It can never change: the database stays where it was made."
  type        = string
  default     = "europe-west1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region is a region, such as \"europe-west1\": not a zone and not a multi-region."
  }
}

variable "runtime" {
  description = "Runtime of the functions. Their requirements are resolved and tested for python311."
  type        = string
  default     = "python311"

  validation {
    condition     = can(regex("^python3[0-9]{2}$", var.runtime))
    error_message = "runtime is a Python runtime of Cloud Run functions, such as \"python311\"."
  }
}

variable "secret_values" {
  description = "Values of the secrets in secret_versions, by name. They are sent and never stored: an apply without them changes nothing."
  type        = map(string)
  default     = {}
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = length(setsubtract(keys(var.secret_values), keys(var.secret_versions))) == 0
    error_message = "secret_values has a name that secret_versions has not: a secret exists by its number there, such as {\"openai-api-key\" = 1}."
  }
}

variable "secret_versions" {
  description = "Which secrets there are, such as {\"openai-api-key\" = 1}. A higher number stores the value in secret_values as a new version; without one the apply fails (\"Field [payload] is required\")."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for number in values(var.secret_versions) : number >= 1 && floor(number) == number])
    error_message = "secret_versions counts in whole numbers from 1: {\"openai-api-key\" = 1}."
  }
}

variable "telemetry" {
  description = "Where usage and brownout_tick send metrics and traces by OTLP, such as {endpoint = \"https://otlp.datadoghq.com\"}, and which share of the traces (sampling, 0 to 1). Headers are the secret otel-exporter-otlp-headers. Null: nothing is sent."
  type = object({
    endpoint = string
    sampling = optional(number, 1)
  })
  default = null

  validation {
    condition     = var.telemetry == null ? true : can(regex("^https://[^\\s?#]+$", var.telemetry.endpoint)) && !can(regex("/v1/(metrics|traces|logs)/?$", var.telemetry.endpoint))
    error_message = "telemetry.endpoint is an address that begins with https://, without the path /v1/metrics, such as \"https://otlp.datadoghq.com\"."
  }

  validation {
    condition     = var.telemetry == null ? true : var.telemetry.sampling >= 0 && var.telemetry.sampling <= 1
    error_message = "telemetry.sampling is a share from 0 to 1, such as 0.1."
  }
}

variable "vertex_projects" {
  description = "Projects whose Vertex AI models the proxy may call with its own identity."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for project in var.vertex_projects : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", project))])
    error_message = "Each of vertex_projects is a project's id, such as \"my-models-123\"."
  }
}

variable "warehouse_location" {
  description = "Location of the warehouse: a region, US or EU. Null is the region of everything else. It can never change."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^(US|EU|[a-z]+-[a-z]+[0-9]{1,2})$", coalesce(var.warehouse_location, "US")))
    error_message = "warehouse_location is US, EU or a region, such as \"europe-west1\"."
  }
}
