# The least that makes an installation: a project, and the bundles that scripts/bundle wrote.

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
}

provider "google-beta" {
  project = var.project_id
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

module "open_cloud_ops" {
  source = "../.."

  project_id = var.project_id
  bundle_dir = var.bundle_dir
}

output "next_steps" {
  description = "What is left to do, as commands."
  value       = module.open_cloud_ops.next_steps
}
