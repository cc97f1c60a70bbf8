# One function, as it is deployed.

mock_provider "google" {
  override_during = plan

  mock_resource "google_service_account" {
    defaults = { email = "account@p", member = "serviceAccount:account@p", unique_id = "17" }
  }
  mock_resource "google_cloudfunctions2_function" {
    defaults = { service_config = { uri = "https://function.run.app" } }
  }
}

variables {
  project_id  = "my-project"
  region      = "europe-west1"
  name        = "oco-proxy"
  entry_point = "proxy"
  runtime     = "python311"
  labels      = { app = "open-cloud-ops" }
  memory      = "512Mi"
  cpu         = 1
  concurrency = 80
  timeout     = 3600
  instances   = { min = 0, max = 50 }
  env         = { STATE_URL = "firestore://my-project/oco-state" }
  ingress     = "ALLOW_ALL"
  invokers    = { allUsers = "allUsers", push = "serviceAccount:invoker@p" }
  secrets     = { FINGERPRINT_KEY = { secret = "oco-fingerprint-key", version = "4" } }
  build = {
    bucket          = "my-project-oco-source"
    object          = "proxy/0123.zip"
    repository      = "projects/my-project/locations/europe-west1/repositories/oco-functions"
    service_account = "projects/my-project/serviceAccounts/builder@p"
  }
}

run "a_function" {
  command = plan

  assert {
    condition     = google_service_account.function.account_id == "oco-proxy" && google_service_account.function.project == "my-project" && google_cloudfunctions2_function.function.service_config[0].service_account_email == "account@p"
    error_message = "A function runs as an account of its own name."
  }
  assert {
    condition = alltrue([
      google_cloudfunctions2_function.function.name == "oco-proxy",
      google_cloudfunctions2_function.function.project == "my-project",
      google_cloudfunctions2_function.function.location == "europe-west1",
      google_cloudfunctions2_function.function.labels.app == "open-cloud-ops",
    ])
    error_message = "Name, place and labels."
  }
  assert {
    condition = alltrue([
      google_cloudfunctions2_function.function.build_config[0].runtime == "python311",
      google_cloudfunctions2_function.function.build_config[0].entry_point == "proxy",
      google_cloudfunctions2_function.function.build_config[0].docker_repository == var.build.repository,
      google_cloudfunctions2_function.function.build_config[0].service_account == var.build.service_account,
      google_cloudfunctions2_function.function.build_config[0].source[0].storage_source[0].bucket == "my-project-oco-source",
      google_cloudfunctions2_function.function.build_config[0].source[0].storage_source[0].object == "proxy/0123.zip",
      length(google_cloudfunctions2_function.function.build_config[0].on_deploy_update_policy) == 0,
    ])
    error_message = "It is built from its bundle: ${jsonencode(google_cloudfunctions2_function.function.build_config)}"
  }
  assert {
    condition = alltrue([
      google_cloudfunctions2_function.function.service_config[0].available_memory == "512Mi",
      google_cloudfunctions2_function.function.service_config[0].available_cpu == "1",
      google_cloudfunctions2_function.function.service_config[0].max_instance_request_concurrency == 80,
      google_cloudfunctions2_function.function.service_config[0].timeout_seconds == 3600,
      google_cloudfunctions2_function.function.service_config[0].min_instance_count == 0,
      google_cloudfunctions2_function.function.service_config[0].max_instance_count == 50,
      google_cloudfunctions2_function.function.service_config[0].ingress_settings == "ALLOW_ALL",
      google_cloudfunctions2_function.function.service_config[0].all_traffic_on_latest_revision,
      google_cloudfunctions2_function.function.service_config[0].environment_variables.STATE_URL == "firestore://my-project/oco-state",
      length(google_cloudfunctions2_function.function.service_config[0].environment_variables) == 1,
    ])
    error_message = "It has what its row says: ${jsonencode(google_cloudfunctions2_function.function.service_config)}"
  }
  assert {
    condition     = jsonencode(google_cloudfunctions2_function.function.service_config[0].secret_environment_variables) == jsonencode([{ key = "FINGERPRINT_KEY", project_id = "my-project", secret = "oco-fingerprint-key", version = "4" }])
    error_message = "A secret is mounted, pinned to its version: ${jsonencode(google_cloudfunctions2_function.function.service_config[0].secret_environment_variables)}"
  }
  assert {
    condition     = jsonencode([for right in google_secret_manager_secret_iam_member.accessor : [right.project, right.secret_id, right.role, right.member]]) == jsonencode([["my-project", "oco-fingerprint-key", "roles/secretmanager.secretAccessor", "serviceAccount:account@p"]])
    error_message = "It may read the secrets that it mounts, and no other."
  }
  assert {
    condition     = jsonencode([for right in google_cloud_run_v2_service_iam_member.invoker : [right.project, right.location, right.name, right.role, right.member]]) == jsonencode([for member in ["allUsers", "serviceAccount:invoker@p"] : ["my-project", "europe-west1", "oco-proxy", "roles/run.invoker", member]])
    error_message = "It is called by whom it was said."
  }
  assert {
    condition     = output.uri == "https://function.run.app" && output.name == "oco-proxy" && output.member == "serviceAccount:account@p" && jsonencode(output.service_account) == jsonencode({ email = "account@p", unique_id = "17" })
    error_message = "Outputs."
  }
}

run "a_function_that_nobody_calls_and_whose_image_runs_elsewhere" {
  command = plan

  variables {
    secrets     = {}
    invokers    = {}
    whole_image = true
  }

  assert {
    condition     = length(google_secret_manager_secret_iam_member.accessor) == 0 && length(google_cloud_run_v2_service_iam_member.invoker) == 0 && length(google_cloudfunctions2_function.function.service_config[0].secret_environment_variables) == 0
    error_message = "Without secrets and callers there are no rights."
  }
  assert {
    condition     = length(google_cloudfunctions2_function.function.build_config[0].on_deploy_update_policy) == 1
    error_message = "The image holds its whole runtime."
  }
}
