# What the installation is made of is said in three files beside the code: functions/functions.yaml,
# common/warehouse and state.yaml. They are read here, once, into the shapes everything else uses.

locals {
  table     = yamldecode(coalesce(var.functions_table, file("${path.module}/../functions/functions.yaml")))
  layout    = jsondecode(file("${path.module}/../common/warehouse/layout.json"))
  documents = yamldecode(file("${path.module}/state.yaml"))
  bundles   = coalesce(var.bundle_dir, "${path.module}/../dist")
  manifest  = fileexists("${local.bundles}/manifest.json") ? jsondecode(file("${local.bundles}/manifest.json")) : {}

  labels             = merge(var.labels, { app = "open-cloud-ops" })
  warehouse_location = coalesce(var.warehouse_location, var.region)
  dataset            = "${replace(var.prefix, "-", "_")}_warehouse"
  topics             = toset(["usage", "events", "commands"])

  schedules = local.table.schedules
  rows      = { for key, own in local.table.functions : key => merge(local.table.defaults, own) }
  functions = {
    for key, row in local.rows : key => {
      name        = "${var.prefix}-${replace(key, "_", "-")}"
      account     = "${var.prefix}-${replace(key, "_", "-")}${contains([for trigger in row.triggers : try(trigger.http, "")], "iap") ? "-image" : ""}"
      http        = [for trigger in row.triggers : trigger.http if can(trigger.http)]
      ingress     = contains([for trigger in row.triggers : can(trigger.http)], true) ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"
      consumes    = [for trigger in row.triggers : trigger if can(trigger.topic)]
      memory      = coalesce(try(var.functions[key].memory, null), row.memory)
      cpu         = row.cpu
      concurrency = coalesce(try(var.functions[key].concurrency, null), row.concurrency)
      timeout     = row.timeout
      instances   = try(var.functions[key].instances, null) != null ? var.functions[key].instances : row.instances
      env         = merge(row.env, try(var.functions[key].env, {}))
      secrets     = merge(local.chosen_secrets[key], row.secrets)
      publishes   = row.publishes
      state       = row.state
      warehouse   = row.warehouse
    }
  }

  # One for each topic that a function consumes.
  subscriptions = merge([
    for key, function in local.functions : {
      for topic in distinct(function.consumes[*].topic) : "${key}-${topic}" => {
        function = key
        topic    = topic
        filter   = local.filters[jsonencode(try([for trigger in function.consumes : trigger if trigger.topic == topic][0].types, []))]
      }
    }
  ]...)
  filled_tables = { for name, table in local.layout : name => table if can(table.from) }

  consumed_types = distinct(concat(
    flatten([for function in local.functions : [for trigger in function.consumes : jsonencode(try(trigger.types, []))]]),
    [for table in local.filled_tables : jsonencode(table.from.types)],
  ))
  filters = {
    for types in local.consumed_types : types => join(" OR ", [
      for type in jsondecode(types) :
      endswith(type, ".") ? "hasPrefix(attributes.type, \"${type}\")" : "attributes.type = \"${type}\""
    ])
  }
}

resource "google_project_service" "api" {
  for_each = setunion(length(local.behind_iap) > 0 ? ["iap.googleapis.com"] : [], [
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ])

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false
}
