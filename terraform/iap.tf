# Functions with an http trigger `iap`: people reach them through Identity-Aware Proxy, which asks them
# to sign in. That belongs to a Cloud Run service and not to a function, so a function that nobody may
# call builds the image, and a service of the function's name runs it.

locals {
  behind_iap = { for key, function in local.functions : key => function if contains(function.http, "iap") }

  passers = merge([
    for key in keys(local.behind_iap) : {
      for member in var.console_members : "${key} ${member}" => { function = key, member = member }
    }
  ]...)
}

module "image" {
  source   = "./modules/function"
  for_each = local.behind_iap

  project_id  = var.project_id
  region      = var.region
  name        = each.value.account
  entry_point = each.key
  runtime     = var.runtime
  labels      = local.labels
  memory      = each.value.memory
  cpu         = each.value.cpu
  concurrency = each.value.concurrency
  timeout     = each.value.timeout
  instances   = { min = 0, max = 1 }
  env         = local.environments[each.key]
  ingress     = "ALLOW_INTERNAL_ONLY"
  invokers    = {}
  whole_image = true
  secrets     = local.mounts[each.key]
  build       = local.builds[each.key]

  depends_on = [terraform_data.checked, time_sleep.builder_is_known]
}

# Read after each build, because of depends_on: the service would stay one release behind otherwise.
data "google_cloud_run_v2_service" "image" {
  for_each = local.behind_iap

  project  = var.project_id
  location = var.region
  name     = module.image[each.key].name

  depends_on = [module.image]
}

resource "google_cloud_run_v2_service" "behind_iap" {
  for_each = local.behind_iap

  project             = var.project_id
  location            = var.region
  name                = each.value.name
  labels              = local.labels
  ingress             = "INGRESS_TRAFFIC_ALL"
  iap_enabled         = true
  deletion_protection = false

  template {
    service_account                  = module.image[each.key].service_account.email
    timeout                          = "${each.value.timeout}s"
    max_instance_request_concurrency = each.value.concurrency

    scaling {
      min_instance_count = each.value.instances.min
      max_instance_count = each.value.instances.max
    }

    containers {
      image = data.google_cloud_run_v2_service.image[each.key].template[0].containers[0].image

      resources {
        limits = { cpu = tostring(each.value.cpu), memory = each.value.memory }
      }

      dynamic "env" {
        for_each = merge(
          local.environments[each.key],
          { FUNCTION_TARGET = each.key, FUNCTION_SIGNATURE_TYPE = "http" },
        )

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.mounts[each.key]

        content {
          name = env.key

          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = env.value.version
            }
          }
        }
      }
    }
  }
}

# IAP calls the service as its own agent, which exists once it is asked for.
resource "google_project_service_identity" "iap" {
  provider = google-beta
  for_each = toset(length(local.behind_iap) > 0 ? ["iap.googleapis.com"] : [])

  project = var.project_id
  service = each.key

  depends_on = [google_project_service.api]
}

resource "google_cloud_run_v2_service_iam_member" "iap" {
  for_each = google_cloud_run_v2_service.behind_iap

  project  = var.project_id
  location = var.region
  name     = each.value.name
  role     = "roles/run.invoker"
  member   = google_project_service_identity.iap["iap.googleapis.com"].member
}

resource "google_iap_web_cloud_run_service_iam_member" "passer" {
  for_each = local.passers

  project                = var.project_id
  location               = var.region
  cloud_run_service_name = google_cloud_run_v2_service.behind_iap[each.value.function].name
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = each.value.member
}
