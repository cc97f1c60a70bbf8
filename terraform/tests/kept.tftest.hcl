# Where things are kept, for how long, and whose they say they are, when nothing is chosen.

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
  target          = module.function["usage"].google_service_account.function
  values          = { email = "usage@p", member = "serviceAccount:usage@p", unique_id = "4" }
}
override_resource {
  override_during = plan
  target          = google_service_account.warehouse_writer
  values          = { email = "writer@p", member = "serviceAccount:writer@p", name = "accounts/writer" }
}
override_resource {
  override_during = plan
  target          = google_pubsub_topic.topic["usage"]
  values          = { id = "topics/usage" }
}

variables {
  project_id    = "my-project"
  bundle_dir    = "tests/bundle"
  secret_values = {}
}

run "a_store" {
  command = plan

  # Data is kept.
  assert {
    condition = alltrue([
      google_firestore_database.state.name == "oco-state",
      google_firestore_database.state.location_id == "europe-west1",
      google_firestore_database.state.type == "FIRESTORE_NATIVE",
      google_firestore_database.state.concurrency_mode == "OPTIMISTIC",
      google_firestore_database.state.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED",
      google_firestore_database.state.delete_protection_state == "DELETE_PROTECTION_ENABLED",
      google_firestore_database.state.deletion_policy == "ABANDON",
      google_firestore_backup_schedule.daily.retention == "604800s",
      length(google_firestore_backup_schedule.daily.daily_recurrence) == 1,
    ])
    error_message = "The database keeps what it has."
  }
  assert {
    condition     = alltrue([for field in google_firestore_field.ttl : field.field == "delete_at" && length(field.ttl_config) == 1 && length(field.index_config) == 1 && length(field.index_config[0].indexes) == 0 && field.database == "oco-state"])
    error_message = "Documents go when their time has come, and the time has no index."
  }
  assert {
    condition     = alltrue([for field in google_firestore_field.unindexed : field.field == "*" && length(field.index_config) == 1 && length(field.index_config[0].indexes) == 0 && length(field.ttl_config) == 0])
    error_message = "No field of a rollup has an index."
  }
  assert {
    condition     = google_bigquery_dataset.warehouse.dataset_id == "oco_warehouse" && google_bigquery_dataset.warehouse.location == "europe-west1" && google_bigquery_dataset.warehouse.delete_contents_on_destroy == false
    error_message = "The dataset keeps what it has."
  }
  assert {
    condition     = alltrue([for table in concat(values(google_bigquery_table.table), values(google_bigquery_table.view)) : table.deletion_protection && table.dataset_id == "oco_warehouse"])
    error_message = "Tables refuse to go."
  }
  assert {
    condition = alltrue([
      google_bigquery_table.table["usage_raw"].schema == file("../common/warehouse/usage_raw.json"),
      google_bigquery_table.table["usage_raw"].time_partitioning[0].type == "DAY",
      google_bigquery_table.table["usage_raw"].time_partitioning[0].field == "event_time",
      google_bigquery_table.table["usage_raw"].time_partitioning[0].expiration_ms == 400 * 24 * 60 * 60 * 1000,
      google_bigquery_table.table["usage_raw"].clustering == tolist(["org", "team", "agent"]),
    ])
    error_message = "usage_raw is as common/warehouse says."
  }
  assert {
    condition     = google_bigquery_table.view["usage"].view[0].use_legacy_sql == false && strcontains(google_bigquery_table.view["usage"].view[0].query, "my-project.oco_warehouse.usage_raw") && !strcontains(google_bigquery_table.view["usage"].view[0].query, "$")
    error_message = "The view reads the table of this installation."
  }
  assert {
    condition = alltrue([
      google_pubsub_subscription.warehouse["usage_raw"].topic == "topics/usage",
      google_pubsub_subscription.warehouse["usage_raw"].filter == "attributes.type = \"usage.call\" OR attributes.type = \"usage.corrected\"",
      google_pubsub_subscription.warehouse["usage_raw"].bigquery_config[0].table == "my-project.oco_warehouse.usage_raw",
      google_pubsub_subscription.warehouse["usage_raw"].bigquery_config[0].use_table_schema,
      google_pubsub_subscription.warehouse["usage_raw"].bigquery_config[0].write_metadata,
      google_pubsub_subscription.warehouse["usage_raw"].bigquery_config[0].drop_unknown_fields,
      google_pubsub_subscription.warehouse["usage_raw"].bigquery_config[0].service_account_email == "writer@p",
    ])
    error_message = "Events of usage fill usage_raw; a newer event does not jam it."
  }
  assert {
    condition = length(setsubtract(
      ["subscription_name", "message_id", "publish_time", "attributes"], jsondecode(google_bigquery_table.table["usage_raw"].schema)[*].name
    )) == 0
    error_message = "A table that Pub/Sub writes has the columns of write_metadata."
  }
  assert {
    condition = alltrue([
      google_storage_bucket.source.uniform_bucket_level_access,
      google_storage_bucket.source.public_access_prevention == "enforced",
      google_storage_bucket.source.location == "europe-west1",
      google_storage_bucket.source.force_destroy,
      google_artifact_registry_repository.images.repository_id == "oco-functions",
      google_artifact_registry_repository.images.location == "europe-west1",
      google_artifact_registry_repository.images.format == "DOCKER",
      { for policy in google_artifact_registry_repository.images.cleanup_policies : policy.id => policy.action } == { drop-old = "DELETE", keep-two = "KEEP" },
    ])
    error_message = "Sources are private, and old images go."
  }

  # Everything says whose it is.
  assert {
    condition = alltrue([
      for labels in concat(
        values(google_pubsub_topic.topic)[*].labels, values(google_pubsub_subscription.push)[*].labels,
        values(google_pubsub_subscription.warehouse)[*].labels, values(google_bigquery_table.table)[*].labels,
        values(google_bigquery_table.view)[*].labels, values(google_secret_manager_secret.secret)[*].labels,
        values(google_monitoring_alert_policy.watch)[*].user_labels, google_monitoring_alert_policy.schedules[*].user_labels,
        [
          google_pubsub_topic.dead_letter.labels, google_pubsub_subscription.dead_letter.labels,
          google_bigquery_dataset.warehouse.labels, google_storage_bucket.source.labels,
          google_artifact_registry_repository.images.labels,
        ],
      ) : labels == tomap({ app = "open-cloud-ops" })
    ])
    error_message = "Everything that takes labels has them."
  }
  assert {
    condition = alltrue([
      for thing in concat(
        values(google_project_service.api), values(google_pubsub_topic.topic), values(google_pubsub_subscription.push),
        values(google_pubsub_subscription.warehouse), values(google_bigquery_table.table), values(google_bigquery_table.view),
        values(google_secret_manager_secret.secret), values(google_cloud_scheduler_job.command),
        values(google_firestore_field.ttl), values(google_firestore_field.unindexed), values(google_logging_metric.runs),
        values(google_monitoring_alert_policy.watch), google_monitoring_alert_policy.schedules,
        values(google_pubsub_topic_iam_member.publisher), values(google_project_iam_member.state),
        values(google_bigquery_dataset_iam_member.warehouse), values(google_project_iam_member.warehouse_jobs),
        values(google_bigquery_table_iam_member.warehouse_writer), values(google_pubsub_subscription_iam_member.dead_letters_leave),
        [
          google_firestore_database.state, google_firestore_backup_schedule.daily, google_bigquery_dataset.warehouse,
          google_storage_bucket.source, google_artifact_registry_repository.images, google_monitoring_dashboard.installation,
          google_pubsub_topic.dead_letter, google_pubsub_subscription.dead_letter, google_service_account.builder,
          google_service_account.invoker, google_service_account.warehouse_writer, google_project_service_identity.pubsub,
          google_project_iam_member.builder_logs, google_project_iam_member.builder_reads_copy,
          google_artifact_registry_repository_iam_member.builder_writes, google_pubsub_topic_iam_member.dead_letters_arrive,
        ],
      ) : thing.project == "my-project"
    ])
    error_message = "Everything names its project: the module holds no provider."
  }
  assert {
    condition     = alltrue([for service in google_project_service.api : service.disable_on_destroy == false]) && length(google_project_service.api) == 14 && !contains(keys(google_project_service.api), "iap.googleapis.com")
    error_message = "APIs stay when the installation goes: ${jsonencode(keys(google_project_service.api))}"
  }
  assert {
    condition = alltrue([
      google_service_account.builder.account_id == "oco-builder",
      google_service_account.invoker.account_id == "oco-invoker",
      google_service_account.warehouse_writer.account_id == "oco-warehouse-writer",
      google_storage_bucket.source.name == "my-project-oco-source",
      google_cloud_scheduler_job.command["budgets-sweep"].name == "oco-budgets-sweep",
      google_cloud_scheduler_job.command["budgets-sweep"].region == "europe-west1",
      time_sleep.builder_is_known.create_duration == "60s",
    ])
    error_message = "Names begin with the prefix."
  }
  assert {
    condition = alltrue([
      output.topics == { commands = "oco-commands", events = "oco-events", usage = "oco-usage" },
      output.database == "oco-state",
      output.dataset == "oco_warehouse",
      output.proxy_url == output.function_urls["proxy"],
      output.api_url == output.function_urls["api"],
      keys(output.function_urls) == keys(module.function),
      output.service_accounts["usage"] == { email = "usage@p", unique_id = "4" },
      strcontains(output.next_steps, "${output.proxy_url}/openai/v1"),
      strcontains(output.next_steps, "CLOUDOPS_URL=${output.api_url}"),
    ])
    error_message = "Outputs name what was made."
  }
}
