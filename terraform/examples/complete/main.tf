# An installation with everything that can be chosen. Keys of providers are given by the environment
# when there is a new one, and stand in no file:
#
#   TF_VAR_secret_values='{"openai-api-key":"sk-..."}' terraform apply -var project_id=...

terraform {
  required_version = ">= 1.11.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.21.0, < 8.0.0"
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = ">= 7.21.0, < 8.0.0"
    }
    random = {
      source  = "hashicorp/random"
      version = ">= 3.7.0, < 4.0.0"
    }
    time = {
      source  = "hashicorp/time"
      version = ">= 0.12.0, < 1.0.0"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = "europe-west4"
}

provider "google-beta" {
  project = var.project_id
  region  = "europe-west4"
}

variable "bundle_dir" {
  description = "Folder that scripts/bundle wrote. Null is dist/ beside terraform/, in a clone of the repository."
  type        = string
  default     = null
}

variable "project_id" {
  description = "The Google Cloud project of the installation."
  type        = string
}

variable "secret_values" {
  description = "Values of secrets that are new, or have a higher number than before."
  type        = map(string)
  default     = {}
  ephemeral   = true
  sensitive   = true
}

module "open_cloud_ops" {
  source = "../.."

  project_id         = var.project_id
  bundle_dir         = var.bundle_dir
  region             = "europe-west4"
  warehouse_location = "EU"
  prefix             = "ai-costs"
  labels             = { team = "platform", stage = "production" }

  # The proxy keeps an instance warm and speaks to Vertex AI with its own identity.
  functions = {
    proxy = { memory = "1Gi", instances = { min = 1, max = 100 } }
    api   = { env = { WAREHOUSE_QUERY_BYTES = "50000000000" } }
  }
  vertex_projects = ["my-models-123"]

  # Applications send their own identity too, in X-Serverless-Authorization.
  public_invokers = ["group:applications@example.com"]
  private_callers = ["user:ada@example.com", "serviceAccount:ci@my-project-123.iam.gserviceaccount.com"]
  console_admins  = ["ada@example.com", "ci@my-project-123.iam.gserviceaccount.com"]

  # Calls that bring no key of a provider are paid with these.
  secret_versions = { openai-api-key = 1, anthropic-api-key = 1 }
  secret_values   = var.secret_values

  monitoring = { emails = ["operations@example.com"] }
  telemetry  = { endpoint = "https://collector.example.com", sampling = 0.1 }
}

output "proxy_url" {
  description = "Where applications send their calls."
  value       = module.open_cloud_ops.proxy_url
}

output "next_steps" {
  description = "What is left to do, as commands."
  value       = module.open_cloud_ops.next_steps
}
