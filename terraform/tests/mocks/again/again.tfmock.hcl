# What is made by a run that uses these has the id "made again".

mock_resource "google_artifact_registry_repository" {
  defaults = { id = "made again" }
}
mock_resource "google_artifact_registry_repository_iam_member" {
  defaults = { id = "made again" }
}
mock_resource "google_bigquery_dataset" {
  defaults = { id = "made again" }
}
mock_resource "google_bigquery_dataset_iam_member" {
  defaults = { id = "made again" }
}
mock_resource "google_bigquery_table" {
  defaults = { id = "made again" }
}
mock_resource "google_bigquery_table_iam_member" {
  defaults = { id = "made again" }
}
mock_resource "google_cloud_scheduler_job" {
  defaults = { id = "made again" }
}
mock_resource "google_firestore_backup_schedule" {
  defaults = { id = "made again" }
}
mock_resource "google_firestore_database" {
  defaults = { id = "made again" }
}
mock_resource "google_firestore_field" {
  defaults = { id = "made again" }
}
mock_resource "google_logging_metric" {
  defaults = { id = "made again" }
}
mock_resource "google_monitoring_alert_policy" {
  defaults = { id = "made again" }
}
mock_resource "google_monitoring_dashboard" {
  defaults = { id = "made again" }
}
mock_resource "google_monitoring_notification_channel" {
  defaults = { id = "made again" }
}
mock_resource "google_project_iam_member" {
  defaults = { id = "made again" }
}
mock_resource "google_project_service" {
  defaults = { id = "made again" }
}
mock_resource "google_project_service_identity" {
  defaults = { id = "made again" }
}
mock_resource "google_pubsub_subscription" {
  defaults = { id = "made again" }
}
mock_resource "google_pubsub_subscription_iam_member" {
  defaults = { id = "made again" }
}
mock_resource "google_pubsub_topic" {
  defaults = { id = "made again" }
}
mock_resource "google_pubsub_topic_iam_member" {
  defaults = { id = "made again" }
}
mock_resource "google_secret_manager_secret" {
  defaults = { id = "made again" }
}
mock_resource "google_secret_manager_secret_version" {
  defaults = { id = "made again", version = "2" }
}
mock_resource "google_service_account" {
  defaults = { id = "made again", unique_id = "made again" }
}
mock_resource "google_service_account_iam_member" {
  defaults = { id = "made again" }
}
mock_resource "google_storage_bucket" {
  defaults = { id = "made again" }
}
mock_resource "google_storage_bucket_iam_member" {
  defaults = { id = "made again" }
}
mock_resource "google_storage_bucket_object" {
  defaults = { id = "made again" }
}
mock_resource "random_password" {
  defaults = { id = "made again" }
}
mock_resource "time_sleep" {
  defaults = { id = "made again" }
}
mock_resource "google_cloudfunctions2_function" {
  defaults = { service_config = { uri = "made again" } }
}
