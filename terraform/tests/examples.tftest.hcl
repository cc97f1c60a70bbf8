# The examples plan, and hand their providers to everything below them.

mock_provider "google" {
  source          = "./tests/mocks/google"
  override_during = plan
}
mock_provider "google-beta" {
  source          = "./tests/mocks/google"
  override_during = plan
}
mock_provider "random" {}
mock_provider "time" {}

variables {
  project_id = "my-project"
  bundle_dir = "tests/bundle"
}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }

  assert {
    condition     = module.open_cloud_ops.database == "oco-state" && strcontains(output.next_steps, "/openai/v1")
    error_message = "A project is enough."
  }
}

run "complete" {
  command = plan

  module {
    source = "./examples/complete"
  }

  variables {
    secret_values = { openai-api-key = "sk-canary-1", anthropic-api-key = "sk-canary-2" }
  }

  assert {
    condition     = module.open_cloud_ops.database == "ai-costs-state" && module.open_cloud_ops.dataset == "ai_costs_warehouse" && output.proxy_url == module.open_cloud_ops.function_urls["proxy"]
    error_message = "The example has its prefix."
  }
}
