# Topics, who publishes on them, and who is pushed what. A message that no function takes ten times
# over is kept for 31 days in the subscription dead-letter.

resource "google_pubsub_topic" "topic" {
  for_each = local.topics

  project = var.project_id
  name    = "${var.prefix}-${each.key}"
  labels  = local.labels
  # Usage is money: what was published can be delivered again for a week.
  message_retention_duration = each.key == "usage" ? "604800s" : null

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.api]
}

resource "google_pubsub_topic" "dead_letter" {
  project = var.project_id
  name    = "${var.prefix}-dead-letter"
  labels  = local.labels

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.api]
}

resource "google_pubsub_subscription" "dead_letter" {
  project                    = var.project_id
  name                       = "${var.prefix}-dead-letter"
  topic                      = google_pubsub_topic.dead_letter.id
  labels                     = local.labels
  message_retention_duration = "2678400s"
  ack_deadline_seconds       = 600

  expiration_policy {
    ttl = ""
  }
}

locals {
  publishers = merge([
    for key, function in local.functions : {
      for topic in function.publishes : "${key}-${topic}" => { function = key, topic = topic }
    }
  ]...)
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishers

  project = var.project_id
  topic   = google_pubsub_topic.topic[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = local.members[each.value.function]
}

# A filter cannot change, so its hash stands in the name: another filter is another subscription.
resource "google_pubsub_subscription" "push" {
  for_each = local.subscriptions

  project                    = var.project_id
  name                       = "${local.functions[each.value.function].name}-${each.value.topic}-${substr(sha256(each.value.filter), 0, 6)}"
  topic                      = google_pubsub_topic.topic[each.value.topic].id
  filter                     = each.value.filter
  labels                     = local.labels
  ack_deadline_seconds       = min(600, max(10, local.functions[each.value.function].timeout))
  message_retention_duration = "604800s"

  push_config {
    push_endpoint = module.function[each.value.function].uri

    oidc_token {
      service_account_email = google_service_account.invoker.email
      audience              = module.function[each.value.function].uri
    }
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

  lifecycle {
    create_before_destroy = true
  }
}

# Pub/Sub itself moves dead letters: it publishes them, and takes them off each subscription. It calls
# functions and writes tables as accounts of the installation. An agent that is asked for, so that
# rights can be bound to it, has none of its own accord
# (https://cloud.google.com/iam/docs/create-service-agents).
resource "google_project_service_identity" "pubsub" {
  provider = google-beta

  project = var.project_id
  service = "pubsub.googleapis.com"

  depends_on = [google_project_service.api]
}

resource "google_pubsub_topic_iam_member" "dead_letters_arrive" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letter.name
  role    = "roles/pubsub.publisher"
  member  = google_project_service_identity.pubsub.member
}

resource "google_service_account_iam_member" "pubsub_acts" {
  for_each = {
    invoker          = google_service_account.invoker.name
    warehouse-writer = google_service_account.warehouse_writer.name
  }

  service_account_id = each.value
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_project_service_identity.pubsub.member
}

resource "google_pubsub_subscription_iam_member" "dead_letters_leave" {
  for_each = merge(
    { for key, subscription in google_pubsub_subscription.push : key => subscription.name },
    { for key, subscription in google_pubsub_subscription.warehouse : "warehouse-${key}" => subscription.name },
  )

  project      = var.project_id
  subscription = each.value
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.pubsub.member
}
