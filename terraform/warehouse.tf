# The warehouse: tables and views as common/warehouse describes them, filled from topics by Pub/Sub.

resource "google_bigquery_dataset" "warehouse" {
  project                    = var.project_id
  dataset_id                 = local.dataset
  friendly_name              = "Open Cloud Ops"
  location                   = local.warehouse_location
  delete_contents_on_destroy = !var.deletion_protection
  labels                     = local.labels

  depends_on = [google_project_service.api]
}

resource "google_bigquery_table" "table" {
  for_each = local.layout

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.warehouse.dataset_id
  table_id            = each.key
  description         = each.value.description
  schema              = file("${path.module}/../common/warehouse/${each.key}.json")
  clustering          = each.value.clustering
  deletion_protection = var.deletion_protection
  labels              = local.labels

  time_partitioning {
    type          = each.value.partition.type
    field         = each.value.partition.field
    expiration_ms = try(each.value.expiry_days * 24 * 60 * 60 * 1000, null)
  }
}

resource "google_bigquery_table" "view" {
  for_each = { for file in fileset("${path.module}/../common/warehouse", "*.sql") : trimsuffix(file, ".sql") => file }

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.warehouse.dataset_id
  table_id            = each.key
  deletion_protection = var.deletion_protection
  labels              = local.labels

  view {
    query          = replace(file("${path.module}/../common/warehouse/${each.value}"), "$${dataset}", "${var.project_id}.${local.dataset}")
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.table]
}

# Pub/Sub writes into tables as this account, which may do nothing else.
resource "google_service_account" "warehouse_writer" {
  project      = var.project_id
  account_id   = "${var.prefix}-warehouse-writer"
  display_name = "Open Cloud Ops: Pub/Sub writes events into the warehouse"

  depends_on = [google_project_service.api]
}

resource "google_bigquery_table_iam_member" "warehouse_writer" {
  for_each = local.filled_tables

  project    = var.project_id
  dataset_id = google_bigquery_dataset.warehouse.dataset_id
  table_id   = google_bigquery_table.table[each.key].table_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.warehouse_writer.member
}

resource "google_pubsub_subscription" "warehouse" {
  for_each = local.filled_tables

  project                    = var.project_id
  name                       = "${var.prefix}-warehouse-${replace(each.key, "_", "-")}-${substr(sha256(local.filters[jsonencode(each.value.from.types)]), 0, 6)}"
  topic                      = google_pubsub_topic.topic[each.value.from.topic].id
  filter                     = local.filters[jsonencode(each.value.from.types)]
  labels                     = local.labels
  message_retention_duration = "604800s"

  bigquery_config {
    table                 = "${var.project_id}.${local.dataset}.${google_bigquery_table.table[each.key].table_id}"
    use_table_schema      = true
    write_metadata        = true
    drop_unknown_fields   = true
    service_account_email = google_service_account.warehouse_writer.email
  }
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letter.id
    max_delivery_attempts = 10
  }
  expiration_policy {
    ttl = ""
  }

  # Without these rights the subscription is refused.
  depends_on = [google_bigquery_table_iam_member.warehouse_writer, google_service_account_iam_member.pubsub_acts]

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_bigquery_dataset_iam_member" "warehouse" {
  for_each = { for key, function in local.functions : key => function.warehouse if function.warehouse != "none" }

  project    = var.project_id
  dataset_id = google_bigquery_dataset.warehouse.dataset_id
  role       = each.value == "write" ? "roles/bigquery.dataEditor" : "roles/bigquery.dataViewer"
  member     = local.members[each.key]
}

# Running a query is a right on the project: BigQuery has no smaller one.
resource "google_project_iam_member" "warehouse_jobs" {
  for_each = { for key, function in local.functions : key => function.warehouse if function.warehouse != "none" }

  project = var.project_id
  role    = "roles/bigquery.jobUser"
  member  = local.members[each.key]
}
