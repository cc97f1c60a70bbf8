# An installation with everything that can be chosen.

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

override_resource {
  override_during = plan
  target          = module.function["proxy"].google_service_account.function
  values          = { email = "proxy@p", member = "serviceAccount:proxy@p" }
}
override_resource {
  override_during = plan
  target          = google_secret_manager_secret_version.given["openai-api-key"]
  values          = { version = "4" }
}
override_resource {
  override_during = plan
  target          = google_secret_manager_secret_version.given["gemini-api-key"]
  values          = { version = "1" }
}
override_resource {
  override_during = plan
  target          = google_secret_manager_secret_version.generated["fingerprint-key"]
  values          = { version = "1" }
}
override_resource {
  override_during = plan
  target          = google_secret_manager_secret_version.given["channel-ops-2"]
  values          = { version = "3" }
}
override_resource {
  override_during = plan
  target          = google_secret_manager_secret.secret["openai-api-key"]
  values          = { id = "secrets/openai" }
}

variables {
  project_id          = "other-project"
  bundle_dir          = "tests/bundle"
  console_admins      = ["ada@example.com", "ci@my-project.iam.gserviceaccount.com"]
  deletion_protection = false
  functions = {
    proxy = { memory = "2Gi", concurrency = 200, instances = { min = 1, max = 7 }, env = { KEY_MAX_STALE_S = "3" } }
    api   = { env = { WAREHOUSE_QUERY_BYTES = "50000000" } }
  }
  labels             = { team = "platform" }
  monitoring         = { emails = ["operations@example.com"] }
  prefix             = "my-ops"
  private_callers    = ["user:ada@example.com", "serviceAccount:ci@my-project.iam.gserviceaccount.com"]
  public_invokers    = ["group:applications@example.com", "domain:example.com"]
  region             = "us-central1"
  runtime            = "python312"
  secret_values      = { openai-api-key = "sk-canary-1", gemini-api-key = "sk-canary-2", channel-ops-2 = "https://canary.example.com" }
  secret_versions    = { openai-api-key = 4, gemini-api-key = 1, channel-ops-2 = 3 }
  telemetry          = { endpoint = "https://otlp.datadoghq.com", sampling = 0.1 }
  vertex_projects    = ["my-models-123", "other-project"]
  warehouse_location = "US"
}

run "a_whole_installation" {
  command = plan

  # Who may call.
  assert {
    condition     = jsonencode(local.invokers["proxy"]) == jsonencode({ "domain:example.com" = "domain:example.com", "group:applications@example.com" = "group:applications@example.com" })
    error_message = "The proxy is called by public_invokers and nobody else: ${jsonencode(local.invokers["proxy"])}"
  }
  assert {
    condition     = jsonencode(values(local.invokers["api"])) == jsonencode(["serviceAccount:ci@my-project.iam.gserviceaccount.com", "user:ada@example.com"])
    error_message = "The API is called by private_callers and nobody else: ${jsonencode(local.invokers["api"])}"
  }
  assert {
    condition     = jsonencode(local.invokers["usage"]) == jsonencode({ push = "serviceAccount:account@my-project.iam.gserviceaccount.com" })
    error_message = "Nobody else calls what consumes events: ${jsonencode(local.invokers["usage"])}"
  }
  assert {
    condition     = local.environments["api"].CONSOLE_ADMINS == "ada@example.com,ci@my-project.iam.gserviceaccount.com"
    error_message = "The API knows its administrators."
  }

  # What a function has.
  assert {
    condition     = local.functions["proxy"].memory == "2Gi" && local.functions["proxy"].concurrency == 200 && jsonencode(local.functions["proxy"].instances) == jsonencode({ max = 7, min = 1 }) && local.functions["api"].memory == "512Mi"
    error_message = "The variable overrides the table, field by field."
  }
  assert {
    condition     = jsonencode(local.environments["proxy"]) == jsonencode({ BUS_URL = "pubsub://other-project/my-ops", GOOGLE_CLOUD_PROJECT = "other-project", KEY_MAX_STALE_S = "3", LOG_EXECUTION_ID = "false", STATE_URL = "firestore://other-project/my-ops-state" })
    error_message = "Environment of the proxy: ${jsonencode(local.environments["proxy"])}"
  }
  assert {
    condition = [for key, env in local.environments : key if can(env.OTEL_EXPORTER_OTLP_ENDPOINT)] == ["brownout_tick", "usage"] && alltrue([
      for key in ["brownout_tick", "usage"] :
      local.environments[key].OTEL_EXPORTER_OTLP_ENDPOINT == "https://otlp.datadoghq.com" && local.environments[key].OTEL_TRACES_SAMPLER_ARG == "0.1"
    ])
    error_message = "Telemetry is sent by brownout_tick and usage alone: ${jsonencode(local.environments)}"
  }
  assert {
    condition     = local.environments["api"].WAREHOUSE_QUERY_BYTES == "50000000" && local.environments["api"].WAREHOUSE_URL == "bigquery://other-project/my_ops_warehouse" && !can(local.environments["budgets"].CONSOLE_ADMINS)
    error_message = "Environment of the API: ${jsonencode(local.environments["api"])}"
  }

  # Secrets.
  assert {
    condition = jsonencode(local.mounts["proxy"]) == jsonencode({
      FINGERPRINT_KEY = { secret = "my-ops-fingerprint-key", version = "1" }
      GEMINI_API_KEY  = { secret = "my-ops-gemini-api-key", version = "1" }
      OPENAI_API_KEY  = { secret = "my-ops-openai-api-key", version = "4" }
    })
    error_message = "What is given is mounted, pinned to its version: ${jsonencode(local.mounts["proxy"])}"
  }
  assert {
    condition     = jsonencode({ for key, mounts in local.mounts : key => mounts if key != "proxy" && length(mounts) > 0 }) == jsonencode({ notifier = { CHANNEL_OPS_2 = { secret = "my-ops-channel-ops-2", version = "3" } } })
    error_message = "A channel's secret is mounted where channels are written to, and nowhere else: ${jsonencode(local.mounts)}"
  }
  assert {
    condition     = join(" ", keys(google_secret_manager_secret.secret)) == "channel-ops-2 fingerprint-key gemini-api-key openai-api-key" && join(" ", keys(google_secret_manager_secret_version.given)) == "channel-ops-2 gemini-api-key openai-api-key"
    error_message = "Secrets: ${jsonencode(keys(google_secret_manager_secret.secret))}"
  }
  assert {
    condition     = google_secret_manager_secret_version.given["openai-api-key"].secret == "secrets/openai" && google_secret_manager_secret_version.given["openai-api-key"].secret_data_wo_version == 4
    error_message = "A number stores the value in the secret of its name."
  }
  assert {
    condition     = google_secret_manager_secret_version.given["openai-api-key"].secret_data_wo == null && google_secret_manager_secret_version.given["openai-api-key"].secret_data == null
    error_message = "A value that people give is not kept."
  }

  # Rights beyond the project.
  assert {
    condition     = jsonencode({ for key, right in google_project_iam_member.vertex : key => [right.project, right.role, right.member] }) == jsonencode({ for project in ["my-models-123", "other-project"] : project => [project, "roles/aiplatform.user", "serviceAccount:proxy@p"] })
    error_message = "The proxy calls models of the projects that are named."
  }

  # Nothing refuses to go.
  assert {
    condition = alltrue([
      google_firestore_database.state.delete_protection_state == "DELETE_PROTECTION_DISABLED",
      google_firestore_database.state.deletion_policy == "DELETE",
      google_bigquery_dataset.warehouse.delete_contents_on_destroy,
      alltrue([for table in concat(values(google_bigquery_table.table), values(google_bigquery_table.view)) : table.deletion_protection == false]),
    ])
    error_message = "Without protection everything can be destroyed."
  }

  # Names, places and labels.
  assert {
    condition = alltrue([
      for name in concat(
        values(module.function)[*].name, values(google_pubsub_topic.topic)[*].name, values(google_pubsub_subscription.push)[*].name,
        values(google_pubsub_subscription.warehouse)[*].name, values(google_secret_manager_secret.secret)[*].secret_id,
        values(google_cloud_scheduler_job.command)[*].name, values(google_logging_metric.runs)[*].name,
        [
          google_pubsub_topic.dead_letter.name, google_pubsub_subscription.dead_letter.name, google_firestore_database.state.name,
          google_service_account.builder.account_id, google_service_account.invoker.account_id,
          google_service_account.warehouse_writer.account_id, google_artifact_registry_repository.images.repository_id,
          trimprefix(google_storage_bucket.source.name, "other-project-"), replace(google_bigquery_dataset.warehouse.dataset_id, "_", "-"),
        ],
      ) : startswith(name, "my-ops-")
    ])
    error_message = "Every name begins with the prefix: another installation can be beside this one."
  }
  assert {
    condition     = strcontains(google_monitoring_dashboard.installation.dashboard_json, "Open Cloud Ops (my-ops)") && strcontains(google_monitoring_dashboard.installation.dashboard_json, "logging.googleapis.com/user/my-ops-runs-budgets") && alltrue([for alert in google_monitoring_alert_policy.watch : startswith(alert.display_name, "Open Cloud Ops (my-ops): ")])
    error_message = "Alerts and the dashboard are this installation's."
  }
  assert {
    condition = alltrue([
      for place in concat(
        values(google_cloud_scheduler_job.command)[*].region,
        flatten([for topic in google_pubsub_topic.topic : tolist(topic.message_storage_policy[0].allowed_persistence_regions)]),
        [for secret in google_secret_manager_secret.secret : secret.replication[0].user_managed[0].replicas[0].location],
        [
          google_firestore_database.state.location_id, google_storage_bucket.source.location,
          google_artifact_registry_repository.images.location, google_artifact_registry_repository_iam_member.builder_writes.location,
          one(google_pubsub_topic.dead_letter.message_storage_policy[0].allowed_persistence_regions),
        ],
      ) : place == "us-central1"
    ]) && google_bigquery_dataset.warehouse.location == "US"
    error_message = "Everything is in the region, and the warehouse in its location."
  }
  assert {
    condition = alltrue([
      for labels in concat(
        values(google_pubsub_topic.topic)[*].labels, values(google_secret_manager_secret.secret)[*].labels,
        values(google_monitoring_notification_channel.email)[*].user_labels, [google_bigquery_dataset.warehouse.labels],
      ) : jsonencode(labels) == jsonencode({ app = "open-cloud-ops", team = "platform" })
    ])
    error_message = "Labels are merged."
  }
}
