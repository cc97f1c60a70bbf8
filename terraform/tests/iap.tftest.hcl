# A table with a function behind Identity-Aware Proxy.

mock_provider "google" {
  source = "./tests/mocks/google"
}
mock_provider "google-beta" {
  source = "./tests/mocks/google"
}
mock_provider "random" {}
mock_provider "time" {}

override_resource {
  target = module.image["console"].google_service_account.function
  values = { email = "console@p", member = "serviceAccount:console@p", unique_id = "5" }
}
override_resource {
  target = google_project_service_identity.iap["iap.googleapis.com"]
  values = { member = "serviceAccount:iap@agent" }
}
override_resource {
  target = google_secret_manager_secret_version.generated["fingerprint-key"]
  values = { version = "3" }
}

variables {
  project_id      = "my-project"
  bundle_dir      = "tests/bundle"
  secret_values   = {}
  console_members = ["user:ada@example.com", "group:operations@example.com"]
  functions_table = replace(file("../functions/functions.yaml"), "\nschedules:", <<-EOT

      console:
        triggers: [{http: iap}]
        memory: 1Gi
        concurrency: 40
        timeout: 300
        instances: {min: 1, max: 3}
        env: {THEME: dark}
        secrets: {FINGERPRINT_KEY: fingerprint-key}
        publishes: [events]
        state: read
        warehouse: write
    schedules:
  EOT
  )
}

# Applied: the image is known when it is built.
run "a_function_behind_iap" {
  assert {
    condition     = jsonencode(keys(module.image)) == jsonencode(["console"]) && !can(module.function["console"]) && length(module.function) == length(yamldecode(file("../functions/functions.yaml")).functions)
    error_message = "A function behind IAP is a service, and the others stay what they are."
  }
  assert {
    condition     = module.image["console"].name == "oco-console-image" && google_cloud_run_v2_service.behind_iap["console"].name == "oco-console" && jsonencode([for of in ["name", "location", "project"] : data.google_cloud_run_v2_service.image["console"][of]]) == jsonencode(["oco-console-image", "europe-west1", "my-project"])
    error_message = "The service has the function's name, and the function that builds another."
  }
  assert {
    condition = alltrue([
      google_cloud_run_v2_service.behind_iap["console"].iap_enabled,
      google_cloud_run_v2_service.behind_iap["console"].ingress == "INGRESS_TRAFFIC_ALL",
      google_cloud_run_v2_service.behind_iap["console"].location == "europe-west1",
      google_cloud_run_v2_service.behind_iap["console"].project == "my-project",
      google_cloud_run_v2_service.behind_iap["console"].labels.app == "open-cloud-ops",
      google_cloud_run_v2_service.behind_iap["console"].deletion_protection == false,
    ])
    error_message = "The service is reached through IAP."
  }
  assert {
    condition = alltrue([
      google_cloud_run_v2_service.behind_iap["console"].template[0].service_account == "console@p",
      google_cloud_run_v2_service.behind_iap["console"].template[0].timeout == "300s",
      google_cloud_run_v2_service.behind_iap["console"].template[0].max_instance_request_concurrency == 40,
      google_cloud_run_v2_service.behind_iap["console"].template[0].scaling[0].min_instance_count == 1,
      google_cloud_run_v2_service.behind_iap["console"].template[0].scaling[0].max_instance_count == 3,
      jsonencode(google_cloud_run_v2_service.behind_iap["console"].template[0].containers[0].resources[0].limits) == jsonencode({ cpu = "1", memory = "1Gi" }),
    ])
    error_message = "The service is what the row says: ${jsonencode(google_cloud_run_v2_service.behind_iap["console"].template)}"
  }
  assert {
    condition     = google_cloud_run_v2_service.behind_iap["console"].template[0].containers[0].image == "europe-west1-docker.pkg.dev/my-project/oco-functions/image@sha256:0123"
    error_message = "The service runs the image that was built."
  }
  assert {
    condition = jsonencode({
      for env in google_cloud_run_v2_service.behind_iap["console"].template[0].containers[0].env : env.name => try(env.value_source[0].secret_key_ref[0], env.value)
      }) == jsonencode({
      BUS_URL                 = "pubsub://my-project/oco"
      FINGERPRINT_KEY         = { secret = "oco-fingerprint-key", version = "3" }
      FUNCTION_SIGNATURE_TYPE = "http"
      FUNCTION_TARGET         = "console"
      GOOGLE_CLOUD_PROJECT    = "my-project"
      LOG_EXECUTION_ID        = "false"
      STATE_URL               = "firestore://my-project/oco-state"
      THEME                   = "dark"
      WAREHOUSE_URL           = "bigquery://my-project/oco_warehouse"
    })
    error_message = "Environment: ${jsonencode(google_cloud_run_v2_service.behind_iap["console"].template[0].containers[0].env)}"
  }
  assert {
    condition     = jsonencode([for right in google_cloud_run_v2_service_iam_member.iap : [right.name, right.role, right.member, right.location, right.project]]) == jsonencode([["oco-console", "roles/run.invoker", "serviceAccount:iap@agent", "europe-west1", "my-project"]])
    error_message = "IAP calls the service, and nobody else may."
  }
  assert {
    condition     = jsonencode([for right in google_iap_web_cloud_run_service_iam_member.passer : [right.cloud_run_service_name, right.role, right.member, right.location, right.project]]) == jsonencode([for member in ["group:operations@example.com", "user:ada@example.com"] : ["oco-console", "roles/iap.httpsResourceAccessor", member, "europe-west1", "my-project"]])
    error_message = "Who is named passes IAP."
  }
  assert {
    condition     = contains(keys(google_project_service.api), "iap.googleapis.com") && google_project_service_identity.iap["iap.googleapis.com"].service == "iap.googleapis.com" && google_project_service_identity.iap["iap.googleapis.com"].project == "my-project"
    error_message = "IAP is switched on, and its agent is there."
  }
  assert {
    condition = alltrue([
      google_pubsub_topic_iam_member.publisher["console-events"].member == "serviceAccount:console@p",
      google_project_iam_member.state["console"].member == "serviceAccount:console@p",
      google_bigquery_dataset_iam_member.warehouse["console"].member == "serviceAccount:console@p",
      google_project_iam_member.warehouse_jobs["console"].member == "serviceAccount:console@p",
    ])
    error_message = "Rights of the row are the account's that the service runs as."
  }
  assert {
    condition     = google_project_iam_member.state["console"].role == "roles/datastore.viewer" && google_bigquery_dataset_iam_member.warehouse["console"].role == "roles/bigquery.dataEditor"
    error_message = "Who reads the state cannot write it, and who writes the warehouse can."
  }
  assert {
    condition     = output.function_urls["console"] == "https://service-0123456789-ew.a.run.app" && output.service_accounts["console"].email == "console@p" && strcontains(google_monitoring_alert_policy.watch["errors"].conditions[0].condition_prometheus_query_language[0].query, "oco-console|")
    error_message = "It is named and watched as the others are."
  }
  assert {
    condition     = google_storage_bucket_object.bundle["console"].name == "console/0000000000000003.zip" && local.builds["console"].object == "console/0000000000000003.zip"
    error_message = "It is built from its bundle."
  }
}

run "whom_nobody_may_pass_to_yet" {
  command = plan

  variables {
    console_members = []
  }

  assert {
    condition     = contains(keys(google_project_service.api), "iap.googleapis.com") && contains(keys(google_project_service_identity.iap), "iap.googleapis.com") && jsonencode(keys(google_cloud_run_v2_service_iam_member.iap)) == jsonencode(["console"])
    error_message = "IAP is there before its members are."
  }
  assert {
    condition     = length(google_iap_web_cloud_run_service_iam_member.passer) == 0
    error_message = "Nobody passes who is not named."
  }
}
