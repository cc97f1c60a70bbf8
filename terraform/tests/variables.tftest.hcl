# Every variable refuses what it cannot use. All that fail in a run must fail, and nothing else may.

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
  project_id    = "my-project"
  bundle_dir    = "tests/bundle"
  secret_values = {}
}

run "words_that_are_none" {
  command = plan

  variables {
    console_admins     = ["user:ada@example.com"]
    console_members    = ["ada@example.com"]
    functions          = { proxy = { memory = "512" } }
    labels             = { app = "other" }
    monitoring         = { emails = ["ada"] }
    prefix             = "o"
    private_callers    = ["allUsers"]
    project_id         = "My Project"
    public_invokers    = ["ada@example.com"]
    region             = "EU"
    runtime            = "nodejs20"
    secret_versions    = { openai-api-key = 0 }
    vertex_projects    = ["projects/my-models"]
    warehouse_location = "eu"
    telemetry          = { endpoint = "collector:4317" }
  }

  expect_failures = [
    var.console_admins, var.console_members, var.functions, var.labels, var.monitoring, var.prefix, var.private_callers,
    var.project_id, var.public_invokers, var.region, var.runtime, var.secret_versions, var.vertex_projects,
    var.warehouse_location, var.telemetry,
  ]
}

run "words_that_almost_are" {
  command = plan

  variables {
    console_admins     = ["ada@example.com,bob@example.com"]
    console_members    = ["allUsers"]
    functions          = { proxy = { instances = { min = 3, max = 2 } } }
    labels             = { Team = "platform" }
    monitoring         = { emails = ["ada@example.com", "bob @example.com"] }
    prefix             = "cloud-ops-of"
    private_callers    = ["user:ada"]
    project_id         = "proj"
    public_invokers    = ["allusers"]
    region             = "europe-west1-b"
    runtime            = "python27"
    secret_versions    = { openai-api-key = 1.5 }
    vertex_projects    = ["my-models-123", "1234567890"]
    warehouse_location = "europe-west1-b"
    telemetry          = { endpoint = "http://collector.example.com:4318" }
  }

  expect_failures = [
    var.console_admins, var.console_members, var.functions, var.labels, var.monitoring, var.prefix, var.private_callers,
    var.project_id, var.public_invokers, var.region, var.runtime, var.secret_versions, var.vertex_projects, var.warehouse_location, var.telemetry,
  ]
}

run "ends_that_are_none" {
  command = plan

  variables {
    functions       = { proxy = { concurrency = 1001 } }
    labels          = { team = "Platform" }
    prefix          = "oco-"
    project_id      = "my-project-"
    region          = "europe-west123"
    secret_versions = { openai-api-key = -1 }
    telemetry       = { endpoint = "https://otlp.example.com", sampling = 1.1 }
  }

  expect_failures = [var.functions, var.labels, var.prefix, var.project_id, var.region, var.secret_versions, var.telemetry]
}

run "beginnings_that_are_none" {
  command = plan

  variables {
    functions       = { proxy = { concurrency = 0 } }
    prefix          = "1co"
    project_id      = "1-project"
    secret_versions = { openai-api-key = 1 }
    secret_values   = { openai-api-key = "sk-1", anthropic-api-key = "sk-2" }
    telemetry       = { endpoint = "https://otlp.example.com", sampling = -0.1 }
  }

  expect_failures = [var.functions, var.prefix, var.project_id, var.secret_values, var.telemetry]
}

run "a_path_that_is_added_anyway" {
  command = plan

  variables {
    telemetry = { endpoint = "https://otlp.example.com/v1/metrics" }
  }

  expect_failures = [var.telemetry]
}

run "too_few_instances" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    functions = { proxy = { instances = { min = 0, max = 0 } } }
    prefix    = "OCO"
  }

  expect_failures = [var.functions, var.prefix]
}

run "instances_below_none" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    functions = { proxy = { instances = { min = -1, max = 1 } } }
    prefix    = "o_o"
  }

  expect_failures = [var.functions, var.prefix]
}

run "all_forms_that_are_allowed" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    console_admins     = ["ada@example.com", "ci@my-project.iam.gserviceaccount.com"]
    functions          = { proxy = { memory = "2Gi", concurrency = 1000, instances = { min = 1, max = 1 } }, usage = { concurrency = 1 } }
    labels             = { team = "a_b-1", empty = "" }
    prefix             = "a1-b2-c3-d4"
    private_callers    = ["user:ada@example.com", "group:g@example.com", "serviceAccount:ci@my-project.iam.gserviceaccount.com", "domain:example.com"]
    project_id         = "my-project-of-thirty-character"
    public_invokers    = ["allUsers", "allAuthenticatedUsers", "user:ada@example.com", "domain:example.com"]
    region             = "northamerica-northeast1"
    runtime            = "python312"
    secret_versions    = { openai-api-key = 12 }
    vertex_projects    = ["my-models-123"]
    warehouse_location = "US"
  }

  assert {
    condition     = local.functions["proxy"].concurrency == 1000 && local.functions["usage"].memory == "512Mi" && local.functions["proxy"].instances.max == 1
    error_message = "What is not given stays as the table says."
  }
}
