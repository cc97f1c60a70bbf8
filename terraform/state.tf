# The documents: one Firestore database, whose name keeps it apart from others of the project.

resource "google_firestore_database" "state" {
  project                           = var.project_id
  name                              = "${var.prefix}-state"
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.deletion_protection ? "ABANDON" : "DELETE"

  depends_on = [google_project_service.api]
}

resource "google_firestore_backup_schedule" "daily" {
  project   = var.project_id
  database  = google_firestore_database.state.name
  retention = "604800s"

  daily_recurrence {}
}

# A time that only rises is a hot spot in an index, so the field has none.
resource "google_firestore_field" "ttl" {
  for_each = toset(local.documents.ttl)

  project    = var.project_id
  database   = google_firestore_database.state.name
  collection = each.key
  field      = "delete_at"

  ttl_config {}
  index_config {}
}

resource "google_firestore_field" "unindexed" {
  for_each = toset(local.documents.unindexed)

  project    = var.project_id
  database   = google_firestore_database.state.name
  collection = each.key
  field      = "*"

  index_config {}
}

# Firestore has no rights below the project, so the condition names the database.
resource "google_project_iam_member" "state" {
  for_each = { for key, function in local.functions : key => function.state if function.state != "none" }

  project = var.project_id
  role    = each.value == "write" ? "roles/datastore.user" : "roles/datastore.viewer"
  member  = local.members[each.key]

  condition {
    title      = "${google_firestore_database.state.name} only"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.state.name}\""
  }
}
