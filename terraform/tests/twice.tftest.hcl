# What an apply changes that comes after another. In runs that say so, whatever is made has the id
# "made again", so that what was there before can be told from it.

mock_provider "google" {
  source = "./tests/mocks/google"
}
mock_provider "google-beta" {
  source = "./tests/mocks/google"
}
mock_provider "random" {}
mock_provider "time" {}

mock_provider "google" {
  alias           = "again"
  source          = "./tests/mocks/again"
  override_during = plan
}
mock_provider "google-beta" {
  alias           = "again"
  source          = "./tests/mocks/again"
  override_during = plan
}
mock_provider "random" {
  alias           = "again"
  source          = "./tests/mocks/again"
  override_during = plan
}
mock_provider "time" {
  alias           = "again"
  source          = "./tests/mocks/again"
  override_during = plan
}

variables {
  project_id      = "my-project"
  bundle_dir      = "tests/bundle"
  secret_values   = {}
  secret_versions = { openai-api-key = 1 }
  monitoring      = { emails = ["operations@example.com"] }
  private_callers = ["user:ada@example.com"]
  vertex_projects = ["my-models-123"]
}

run "first" {
  variables {
    secret_values = { openai-api-key = "sk-canary" }
  }
}

run "second_with_rows_in_another_order_and_no_values" {
  providers = {
    google      = google.again
    google-beta = google-beta.again
    random      = random.again
    time        = time.again
  }

  variables {
    functions_table = yamlencode({
      schedules = yamldecode(file("../functions/functions.yaml")).schedules
      functions = { for key in reverse(keys(yamldecode(file("../functions/functions.yaml")).functions)) : key => yamldecode(file("../functions/functions.yaml")).functions[key] }
      defaults  = yamldecode(file("../functions/functions.yaml")).defaults
    })
  }

  assert {
    condition = alltrue([
      for id in concat(
        values(google_project_service.api)[*].id, values(google_storage_bucket_object.bundle)[*].id, values(google_pubsub_topic.topic)[*].id,
        values(google_pubsub_topic_iam_member.publisher)[*].id, values(google_pubsub_subscription.push)[*].id,
        values(google_pubsub_subscription.warehouse)[*].id, values(google_pubsub_subscription_iam_member.dead_letters_leave)[*].id,
        values(google_service_account_iam_member.pubsub_acts)[*].id, values(google_bigquery_table.table)[*].id,
        values(google_bigquery_table.view)[*].id, values(google_bigquery_table_iam_member.warehouse_writer)[*].id,
        values(google_bigquery_dataset_iam_member.warehouse)[*].id, values(google_project_iam_member.warehouse_jobs)[*].id,
        values(google_project_iam_member.state)[*].id, values(google_project_iam_member.vertex)[*].id,
        values(google_firestore_field.ttl)[*].id, values(google_firestore_field.unindexed)[*].id,
        values(google_cloud_scheduler_job.command)[*].id, values(google_secret_manager_secret.secret)[*].id,
        values(google_secret_manager_secret_version.generated)[*].id, values(google_secret_manager_secret_version.given)[*].id,
        values(google_monitoring_notification_channel.email)[*].id, values(google_monitoring_alert_policy.watch)[*].id,
        google_monitoring_alert_policy.schedules[*].id, values(google_logging_metric.runs)[*].id,
        values(random_password.generated)[*].id, values(module.function)[*].service_account.unique_id, values(module.function)[*].uri,
        [
          google_storage_bucket.source.id, google_artifact_registry_repository.images.id, google_service_account.builder.id,
          google_service_account.invoker.id, google_service_account.warehouse_writer.id, google_project_iam_member.builder_logs.id,
          google_project_iam_member.builder_reads_copy.id, google_artifact_registry_repository_iam_member.builder_writes.id,
          google_storage_bucket_iam_member.builder_reads.id, google_pubsub_topic.dead_letter.id, google_pubsub_subscription.dead_letter.id,
          google_pubsub_topic_iam_member.dead_letters_arrive.id, google_project_service_identity.pubsub.id,
          google_firestore_database.state.id, google_firestore_backup_schedule.daily.id, google_bigquery_dataset.warehouse.id,
          google_monitoring_dashboard.installation.id, time_sleep.builder_is_known.id,
        ],
      ) : id != "made again" && id != null
    ])
    error_message = "A second apply makes nothing again."
  }
  assert {
    condition     = jsonencode(output.service_accounts) == jsonencode(run.first.service_accounts) && jsonencode(output.function_urls) == jsonencode(run.first.function_urls) && output.next_steps == run.first.next_steps
    error_message = "A second apply says what the first said."
  }
}

run "a_higher_number" {
  command = plan

  providers = {
    google      = google.again
    google-beta = google-beta.again
    random      = random.again
    time        = time.again
  }

  variables {
    secret_versions = { openai-api-key = 2, gemini-api-key = 1 }
    secret_values   = { openai-api-key = "sk-canary-2", gemini-api-key = "sk-canary-3" }
  }

  assert {
    condition     = jsonencode({ for key, version in google_secret_manager_secret_version.given : key => [version.id, version.secret_data_wo_version] }) == jsonencode({ gemini-api-key = ["made again", 1], openai-api-key = [google_secret_manager_secret_version.given["openai-api-key"].id, 2] })
    error_message = "Versions: ${jsonencode({ for key, version in google_secret_manager_secret_version.given : key => [version.id, version.secret_data_wo_version] })}"
  }
  assert {
    condition     = jsonencode(keys(local.mounts["proxy"])) == jsonencode(["FINGERPRINT_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"]) && local.mounts["proxy"]["GEMINI_API_KEY"].version == "2"
    error_message = "The function is pinned to what is stored: ${jsonencode(local.mounts["proxy"])}"
  }
  assert {
    condition     = google_secret_manager_secret.secret["gemini-api-key"].id == "made again" && google_secret_manager_secret.secret["openai-api-key"].id != "made again" && google_secret_manager_secret_version.generated["fingerprint-key"].id != "made again"
    error_message = "Only the new secret is made."
  }
}

run "another_filter" {
  command = plan

  providers = {
    google      = google.again
    google-beta = google-beta.again
    random      = random.again
    time        = time.again
  }

  variables {
    functions_table = replace(file("../functions/functions.yaml"), "types: [budgets.sweep]", "types: [budgets.]")
  }

  assert {
    condition     = google_pubsub_subscription.push["budgets-commands"].name == "oco-budgets-commands-${substr(sha256("hasPrefix(attributes.type, \"budgets.\")"), 0, 6)}" && google_pubsub_subscription.push["usage-usage"].id != "made again"
    error_message = "Another filter is another subscription, and the others stay."
  }
  assert {
    condition     = google_pubsub_subscription_iam_member.dead_letters_leave["budgets-commands"].subscription == google_pubsub_subscription.push["budgets-commands"].name
    error_message = "Dead letters leave the new subscription too."
  }
}
