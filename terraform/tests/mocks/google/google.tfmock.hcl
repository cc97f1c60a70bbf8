# What the cloud would answer, in its form: addresses and members are parsed by whoever gets them.

mock_resource "google_artifact_registry_repository" {
  defaults = {
    id   = "projects/my-project/locations/europe-west1/repositories/functions"
    name = "functions"
  }
}

mock_resource "google_cloudfunctions2_function" {
  defaults = {
    service_config = { uri = "https://function-0123456789-ew.a.run.app" }
  }
}

mock_resource "google_cloud_run_v2_service" {
  defaults = { uri = "https://service-0123456789-ew.a.run.app" }
}

mock_data "google_cloud_run_v2_service" {
  defaults = {
    template = [{ containers = [{ image = "europe-west1-docker.pkg.dev/my-project/oco-functions/image@sha256:0123" }] }]
  }
}

mock_resource "google_project_service_identity" {
  defaults = { member = "serviceAccount:service-0123456789@agent.iam.gserviceaccount.com" }
}

mock_resource "google_pubsub_topic" {
  defaults = { id = "projects/my-project/topics/topic" }
}

mock_resource "google_secret_manager_secret" {
  defaults = { id = "projects/my-project/secrets/secret" }
}

mock_resource "google_service_account" {
  defaults = {
    email  = "account@my-project.iam.gserviceaccount.com"
    member = "serviceAccount:account@my-project.iam.gserviceaccount.com"
    name   = "projects/my-project/serviceAccounts/account@my-project.iam.gserviceaccount.com"
    id     = "projects/my-project/serviceAccounts/account@my-project.iam.gserviceaccount.com"
  }
}
