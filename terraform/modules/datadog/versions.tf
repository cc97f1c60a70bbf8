terraform {
  required_version = ">= 1.11.0"

  required_providers {
    datadog = {
      source  = "DataDog/datadog"
      version = ">= 3.82.0, < 5.0.0"
    }
  }
}
