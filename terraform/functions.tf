# The functions, what they are built from, and who may invoke them.

resource "google_storage_bucket" "source" {
  project                     = var.project_id
  name                        = "${var.project_id}-${var.prefix}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true
  labels                      = local.labels

  depends_on = [google_project_service.api]
}

# The hash is in the name: nothing is deployed again unless a byte of it has changed.
resource "google_storage_bucket_object" "bundle" {
  for_each = { for key in keys(local.functions) : key => local.manifest[key] if can(local.manifest[key]) }

  bucket = google_storage_bucket.source.name
  name   = "${each.key}/${each.value.sha256}.zip"
  source = "${local.bundles}/${each.value.file}"
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project_id
  location      = var.region
  repository_id = "${var.prefix}-functions"
  format        = "DOCKER"
  description   = "Images that the functions run."
  labels        = local.labels

  cleanup_policies {
    id     = "keep-two"
    action = "KEEP"
    most_recent_versions {
      keep_count = 2
    }
  }
  cleanup_policies {
    id     = "drop-old"
    action = "DELETE"
    condition {
      older_than = "604800s"
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_service_account" "builder" {
  project      = var.project_id
  account_id   = "${var.prefix}-builder"
  display_name = "Open Cloud Ops: builds the functions"

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "builder_logs" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.builder.member
}

resource "google_artifact_registry_repository_iam_member" "builder_writes" {
  project    = var.project_id
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder.member
}

resource "google_storage_bucket_iam_member" "builder_reads" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.builder.member
}

# The build reads Google's own copy of the source, in a bucket that the first build makes.
resource "google_project_iam_member" "builder_reads_copy" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = google_service_account.builder.member

  condition {
    title      = "copies of function sources"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-\")"
  }
}

# Rights take up to a minute to be seen, and the first build fails without them.
resource "time_sleep" "builder_is_known" {
  create_duration = "60s"

  depends_on = [
    google_artifact_registry_repository_iam_member.builder_writes,
    google_project_iam_member.builder_logs,
    google_project_iam_member.builder_reads_copy,
    google_storage_bucket_iam_member.builder_reads,
  ]
}

# Whoever pushes to a function calls it as this account.
resource "google_service_account" "invoker" {
  project      = var.project_id
  account_id   = "${var.prefix}-invoker"
  display_name = "Open Cloud Ops: pushes events to functions"

  depends_on = [google_project_service.api]
}

locals {
  # Given to whoever may read its headers.
  telemetry = var.telemetry == null ? {} : {
    OTEL_EXPORTER_OTLP_ENDPOINT = var.telemetry.endpoint
    OTEL_TRACES_SAMPLER_ARG     = format("%.6g", var.telemetry.sampling)
  }

  # Under names that are known before anything is made.
  invokers = {
    for key, function in local.functions : key => merge(
      contains(function.http, "public") ? { for member in var.public_invokers : member => member } : {},
      contains(function.http, "private") ? { for member in var.private_callers : member => member } : {},
      length(function.consumes) > 0 ? { push = google_service_account.invoker.member } : {},
    )
  }

  environments = {
    for key, function in local.functions : key => merge(
      { GOOGLE_CLOUD_PROJECT = var.project_id, LOG_EXECUTION_ID = "false" },
      function.state == "none" ? {} : { STATE_URL = "firestore://${var.project_id}/${google_firestore_database.state.name}" },
      length(function.publishes) == 0 ? {} : { BUS_URL = "pubsub://${var.project_id}/${var.prefix}" },
      function.warehouse == "none" ? {} : { WAREHOUSE_URL = "bigquery://${var.project_id}/${local.dataset}" },
      key == "api" ? { CONSOLE_ADMINS = join(",", var.console_admins) } : {},
      contains(keys(function.secrets), "OTEL_EXPORTER_OTLP_HEADERS") ? local.telemetry : {},
      function.env,
    )
  }

  # A secret that nobody has given is not mounted.
  mounts = {
    for key, function in local.functions : key => {
      for setting, name in function.secrets : setting => local.mounted_secrets[name] if contains(local.secrets, name)
    }
  }

  builds = {
    for key, bundle in google_storage_bucket_object.bundle : key => {
      bucket          = google_storage_bucket.source.name
      object          = bundle.name
      repository      = google_artifact_registry_repository.images.id
      service_account = google_service_account.builder.id
    }
  }

  members = { for key, function in merge(module.function, module.image) : key => function.member }
}

module "function" {
  source   = "./modules/function"
  for_each = { for key, function in local.functions : key => function if !contains(function.http, "iap") }

  project_id  = var.project_id
  region      = var.region
  name        = each.value.name
  entry_point = each.key
  runtime     = var.runtime
  labels      = local.labels
  memory      = each.value.memory
  cpu         = each.value.cpu
  concurrency = each.value.concurrency
  timeout     = each.value.timeout
  instances   = each.value.instances
  env         = local.environments[each.key]
  ingress     = each.value.ingress
  invokers    = local.invokers[each.key]
  secrets     = local.mounts[each.key]
  build       = local.builds[each.key]

  depends_on = [terraform_data.checked, time_sleep.builder_is_known]
}

resource "google_project_iam_member" "vertex" {
  for_each = toset(var.vertex_projects)

  project = each.key
  role    = "roles/aiplatform.user"
  member  = module.function["proxy"].member
}
