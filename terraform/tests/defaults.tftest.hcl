# What an installation is when nothing is chosen but the project.

mock_provider "google" {
  source          = "./tests/mocks/google"
  override_during = plan
}
mock_provider "google-beta" {
  source          = "./tests/mocks/google"
  override_during = plan
}
mock_provider "random" {
  override_during = plan
}
mock_provider "time" {
  override_during = plan
}

# Accounts that can be told apart.
override_resource {
  override_during = plan
  target          = module.function["api"].google_service_account.function
  values          = { email = "api@p", member = "serviceAccount:api@p", unique_id = "1" }
}
override_resource {
  override_during = plan
  target          = module.function["brownout_tick"].google_service_account.function
  values          = { email = "brownout_tick@p", member = "serviceAccount:brownout_tick@p", unique_id = "6" }
}
override_resource {
  override_during = plan
  target          = module.function["brownout_webhook"].google_service_account.function
  values          = { email = "brownout_webhook@p", member = "serviceAccount:brownout_webhook@p", unique_id = "5" }
}
override_resource {
  override_during = plan
  target          = module.function["budgets"].google_service_account.function
  values          = { email = "budgets@p", member = "serviceAccount:budgets@p", unique_id = "2" }
}
override_resource {
  override_during = plan
  target          = module.function["notifier"].google_service_account.function
  values          = { email = "notifier@p", member = "serviceAccount:notifier@p", unique_id = "8" }
}
override_resource {
  override_during = plan
  target          = module.function["incidents"].google_service_account.function
  values          = { email = "incidents@p", member = "serviceAccount:incidents@p", unique_id = "7" }
}
override_resource {
  override_during = plan
  target          = module.function["insights"].google_service_account.function
  values          = { email = "insights@p", member = "serviceAccount:insights@p", unique_id = "10" }
}
override_resource {
  override_during = plan
  target          = module.function["pricing"].google_service_account.function
  values          = { email = "pricing@p", member = "serviceAccount:pricing@p", unique_id = "9" }
}
override_resource {
  override_during = plan
  target          = module.function["proxy"].google_service_account.function
  values          = { email = "proxy@p", member = "serviceAccount:proxy@p", unique_id = "3" }
}
override_resource {
  override_during = plan
  target          = module.function["usage"].google_service_account.function
  values          = { email = "usage@p", member = "serviceAccount:usage@p", unique_id = "4" }
}
override_resource {
  override_during = plan
  target          = google_service_account.invoker
  values          = { email = "invoker@p", member = "serviceAccount:invoker@p", name = "accounts/invoker" }
}
override_resource {
  override_during = plan
  target          = google_service_account.builder
  values          = { email = "builder@p", member = "serviceAccount:builder@p", id = "accounts/builder" }
}
override_resource {
  override_during = plan
  target          = google_service_account.warehouse_writer
  values          = { email = "writer@p", member = "serviceAccount:writer@p", name = "accounts/writer" }
}
override_resource {
  override_during = plan
  target          = google_project_service_identity.pubsub
  values          = { member = "serviceAccount:pubsub@agent" }
}
override_resource {
  override_during = plan
  target          = google_pubsub_topic.topic["usage"]
  values          = { id = "topics/usage" }
}
override_resource {
  override_during = plan
  target          = google_pubsub_topic.topic["commands"]
  values          = { id = "topics/commands" }
}
override_resource {
  override_during = plan
  target          = google_pubsub_topic.dead_letter
  values          = { id = "topics/dead-letter" }
}
override_resource {
  override_during = plan
  target          = module.function["usage"].google_cloudfunctions2_function.function
  values          = { service_config = { uri = "https://usage.run.app" } }
}

override_resource {
  override_during = plan
  target          = google_secret_manager_secret_version.generated["fingerprint-key"]
  values          = { version = "7" }
}
override_resource {
  override_during = plan
  target          = random_password.generated["fingerprint-key"]
  values          = { result = "at-random" }
}

variables {
  project_id    = "my-project"
  bundle_dir    = "tests/bundle"
  secret_values = {}
}

run "an_installation" {
  command = plan

  # Everything is made from the tables.
  assert {
    condition = alltrue([
      keys(module.function) == keys(yamldecode(file("../functions/functions.yaml")).functions),
      [for function in module.function : function.name] == [for key in keys(yamldecode(file("../functions/functions.yaml")).functions) : "oco-${replace(key, "_", "-")}"],
    ])
    error_message = "Functions: ${jsonencode([for function in module.function : function.name])}"
  }
  assert {
    condition     = { for key, bundle in google_storage_bucket_object.bundle : key => bundle.name } == { for key in keys(module.function) : key => "${key}/${jsondecode(file("tests/bundle/manifest.json"))[key].sha256}.zip" }
    error_message = "A function is built from the bundle whose hash is in the object's name."
  }
  assert {
    condition     = alltrue([for key, bundle in google_storage_bucket_object.bundle : bundle.source == "tests/bundle/${jsondecode(file("tests/bundle/manifest.json"))[key].file}" && bundle.bucket == "my-project-oco-source"])
    error_message = "A bundle is the file that the manifest names."
  }
  assert {
    condition     = length(google_bigquery_table.table) == length(fileset("../common/warehouse", "*.json")) - 1 && length(google_bigquery_table.view) == length(fileset("../common/warehouse", "*.sql"))
    error_message = "Each schema of common/warehouse is a table, each .sql a view."
  }
  assert {
    condition     = jsonencode([keys(google_firestore_field.ttl), keys(google_firestore_field.unindexed)]) == jsonencode([sort(yamldecode(file("state.yaml")).ttl), sort(yamldecode(file("state.yaml")).unindexed)])
    error_message = "Each collection of state.yaml has its field."
  }
  assert {
    condition     = { for key, job in google_cloud_scheduler_job.command : key => job.schedule } == { for key, schedule in yamldecode(file("../functions/functions.yaml")).schedules : key => schedule.cron }
    error_message = "Each schedule of the table is a job."
  }

  # Functions are called by whom they should.
  assert {
    condition     = { for key, members in local.invokers : key => members if contains(values(members), "allUsers") } == { brownout_webhook = { allUsers = "allUsers" }, proxy = { allUsers = "allUsers" } }
    error_message = "Public are the proxy and the webhook alone: ${jsonencode(local.invokers)}"
  }
  assert {
    condition     = local.invokers["api"] == {} && local.invokers["usage"] == { push = "serviceAccount:invoker@p" } && local.invokers["budgets"] == { push = "serviceAccount:invoker@p" } && local.invokers["brownout_tick"] == { push = "serviceAccount:invoker@p" } && local.invokers["incidents"] == { push = "serviceAccount:invoker@p" } && local.invokers["insights"] == { push = "serviceAccount:invoker@p" } && local.invokers["notifier"] == { push = "serviceAccount:invoker@p" } && local.invokers["pricing"] == { push = "serviceAccount:invoker@p" }
    error_message = "What consumes events is called by the invoker, and the API by nobody yet: ${jsonencode(local.invokers)}"
  }
  assert {
    condition     = { for key, function in local.functions : key => function.ingress } == { api = "ALLOW_ALL", brownout_tick = "ALLOW_INTERNAL_ONLY", brownout_webhook = "ALLOW_ALL", budgets = "ALLOW_INTERNAL_ONLY", incidents = "ALLOW_INTERNAL_ONLY", insights = "ALLOW_INTERNAL_ONLY", notifier = "ALLOW_INTERNAL_ONLY", pricing = "ALLOW_INTERNAL_ONLY", proxy = "ALLOW_ALL", usage = "ALLOW_INTERNAL_ONLY" }
    error_message = "Only what has an http trigger is reached from outside."
  }
  assert {
    condition     = local.environments["proxy"] == { GOOGLE_CLOUD_PROJECT = "my-project", LOG_EXECUTION_ID = "false", STATE_URL = "firestore://my-project/oco-state", BUS_URL = "pubsub://my-project/oco" }
    error_message = "Environment of the proxy: ${jsonencode(local.environments["proxy"])}"
  }
  assert {
    condition     = local.environments["usage"] == { GOOGLE_CLOUD_PROJECT = "my-project", LOG_EXECUTION_ID = "false", STATE_URL = "firestore://my-project/oco-state" }
    error_message = "Environment of usage: ${jsonencode(local.environments["usage"])}"
  }
  assert {
    condition = local.environments["api"] == {
      GOOGLE_CLOUD_PROJECT = "my-project", LOG_EXECUTION_ID = "false", STATE_URL = "firestore://my-project/oco-state",
      BUS_URL              = "pubsub://my-project/oco", WAREHOUSE_URL = "bigquery://my-project/oco_warehouse", CONSOLE_ADMINS = "",
    }
    error_message = "Environment of the API: ${jsonencode(local.environments["api"])}"
  }
  assert {
    condition = local.builds["usage"] == {
      bucket     = "my-project-oco-source", object = "usage/0000000000000005.zip",
      repository = google_artifact_registry_repository.images.id, service_account = "accounts/builder",
    }
    error_message = "Build of usage: ${jsonencode(local.builds["usage"])}"
  }

  # Events arrive or are kept.
  assert {
    condition     = google_pubsub_subscription.push["usage-usage"].filter == "attributes.type = \"usage.call\" OR attributes.type = \"usage.corrected\" OR attributes.type = \"call.feedback\"" && google_pubsub_subscription.push["usage-usage"].name == "oco-usage-usage-${substr(sha256("attributes.type = \"usage.call\" OR attributes.type = \"usage.corrected\" OR attributes.type = \"call.feedback\""), 0, 6)}"
    error_message = "A subscription asks for the types of its trigger, and its name says which filter it has."
  }
  assert {
    condition = alltrue([
      google_pubsub_subscription.push["usage-usage"].topic == "topics/usage",
      google_pubsub_subscription.push["usage-usage"].push_config[0].push_endpoint == "https://usage.run.app",
      google_pubsub_subscription.push["usage-usage"].push_config[0].oidc_token[0].audience == "https://usage.run.app",
      google_pubsub_subscription.push["usage-usage"].push_config[0].oidc_token[0].service_account_email == "invoker@p",
    ])
    error_message = "A push calls the service as the invoker, in a token that is meant for it."
  }
  assert {
    condition     = google_pubsub_subscription.push["usage-usage"].ack_deadline_seconds == 60 && google_pubsub_subscription.push["budgets-commands"].ack_deadline_seconds == 120
    error_message = "A function has as long as its timeout says."
  }
  assert {
    condition     = length(google_pubsub_subscription.push) == length(flatten([for row in values(yamldecode(file("../functions/functions.yaml")).functions) : [for trigger in row.triggers : trigger if can(trigger.topic)]]))
    error_message = "One subscription for each topic that a function consumes: ${jsonencode(keys(google_pubsub_subscription.push))}"
  }
  assert {
    condition = alltrue([
      for subscription in concat(values(google_pubsub_subscription.push), values(google_pubsub_subscription.warehouse)) : alltrue([
        subscription.dead_letter_policy[0].dead_letter_topic == "topics/dead-letter",
        subscription.dead_letter_policy[0].max_delivery_attempts == 10,
        subscription.retry_policy[0].minimum_backoff == "10s",
        subscription.retry_policy[0].maximum_backoff == "600s",
        subscription.expiration_policy[0].ttl == "",
        subscription.message_retention_duration == "604800s",
      ])
    ])
    error_message = "Every subscription retries, gives up after ten times, and never expires."
  }
  assert {
    condition     = sort([for right in google_pubsub_subscription_iam_member.dead_letters_leave : right.subscription]) == sort(concat(values(google_pubsub_subscription.push)[*].name, values(google_pubsub_subscription.warehouse)[*].name))
    error_message = "Of every subscription that has dead letters Pub/Sub may take them."
  }
  assert {
    condition     = alltrue([for right in google_pubsub_subscription_iam_member.dead_letters_leave : right.role == "roles/pubsub.subscriber" && right.member == "serviceAccount:pubsub@agent"])
    error_message = "Pub/Sub's agent takes dead letters."
  }
  assert {
    condition = alltrue([
      google_pubsub_topic_iam_member.dead_letters_arrive.topic == "oco-dead-letter",
      google_pubsub_topic_iam_member.dead_letters_arrive.role == "roles/pubsub.publisher",
      google_pubsub_topic_iam_member.dead_letters_arrive.member == "serviceAccount:pubsub@agent",
    ])
    error_message = "Pub/Sub's agent publishes dead letters."
  }
  assert {
    condition     = google_pubsub_subscription.dead_letter.topic == "topics/dead-letter" && google_pubsub_subscription.dead_letter.message_retention_duration == "2678400s" && google_pubsub_subscription.dead_letter.expiration_policy[0].ttl == ""
    error_message = "Dead letters are kept for 31 days."
  }
  assert {
    condition     = { for key, right in google_service_account_iam_member.pubsub_acts : key => [right.service_account_id, right.role, right.member] } == { invoker = ["accounts/invoker", "roles/iam.serviceAccountTokenCreator", "serviceAccount:pubsub@agent"], warehouse-writer = ["accounts/writer", "roles/iam.serviceAccountTokenCreator", "serviceAccount:pubsub@agent"] }
    error_message = "Pub/Sub's agent acts as two accounts, and no other: ${jsonencode(google_service_account_iam_member.pubsub_acts)}"
  }
  assert {
    condition     = jsonencode({ for key, topic in google_pubsub_topic.topic : key => topic.message_retention_duration }) == jsonencode({ commands = null, events = null, usage = "604800s" })
    error_message = "Usage can be delivered again for a week."
  }
  assert {
    condition     = alltrue([for topic in concat(values(google_pubsub_topic.topic), [google_pubsub_topic.dead_letter]) : one(topic.message_storage_policy[0].allowed_persistence_regions) == "europe-west1"])
    error_message = "Messages stay in the region."
  }
  assert {
    condition = alltrue([
      google_cloud_scheduler_job.command["budgets-sweep"].pubsub_target[0].topic_name == "topics/commands",
      google_cloud_scheduler_job.command["budgets-sweep"].pubsub_target[0].attributes == tomap({ type = "budgets.sweep" }),
      base64decode(google_cloud_scheduler_job.command["budgets-sweep"].pubsub_target[0].data) == "{}",
      google_cloud_scheduler_job.command["budgets-sweep"].time_zone == "Etc/UTC",
    ])
    error_message = "A schedule publishes its data, with the command's type as an attribute."
  }

  # Rights are on single things.
  assert {
    condition = sort([for right in google_pubsub_topic_iam_member.publisher : "${right.member} ${right.role} ${right.topic}"]) == sort([
      "serviceAccount:api@p roles/pubsub.publisher oco-events",
      "serviceAccount:brownout_tick@p roles/pubsub.publisher oco-events",
      "serviceAccount:brownout_webhook@p roles/pubsub.publisher oco-events",
      "serviceAccount:budgets@p roles/pubsub.publisher oco-events",
      "serviceAccount:incidents@p roles/pubsub.publisher oco-events",
      "serviceAccount:insights@p roles/pubsub.publisher oco-events",
      "serviceAccount:notifier@p roles/pubsub.publisher oco-events",
      "serviceAccount:pricing@p roles/pubsub.publisher oco-events",
      "serviceAccount:proxy@p roles/pubsub.publisher oco-events",
      "serviceAccount:proxy@p roles/pubsub.publisher oco-usage",
    ])
    error_message = "Publishers: ${jsonencode([for right in google_pubsub_topic_iam_member.publisher : "${right.member} ${right.topic}"])}"
  }
  assert {
    condition     = { for key, right in google_project_iam_member.state : key => "${right.member} ${right.role} ${right.condition[0].expression}" } == { for key in ["api", "brownout_tick", "brownout_webhook", "budgets", "incidents", "insights", "notifier", "pricing", "proxy", "usage"] : key => "serviceAccount:${key}@p roles/datastore.user resource.name == \"projects/my-project/databases/oco-state\"" }
    error_message = "Functions use documents of this database and no other."
  }
  assert {
    condition     = { for key, right in google_bigquery_dataset_iam_member.warehouse : key => "${right.member} ${right.role} ${right.dataset_id}" } == { for key in ["api", "budgets", "insights", "pricing"] : key => "serviceAccount:${key}@p roles/bigquery.dataViewer oco_warehouse" }
    error_message = "Who asks the warehouse reads it."
  }
  assert {
    condition     = { for key, right in google_project_iam_member.warehouse_jobs : key => "${right.member} ${right.role}" } == { for key in ["api", "budgets", "insights", "pricing"] : key => "serviceAccount:${key}@p roles/bigquery.jobUser" }
    error_message = "Who asks the warehouse may run queries."
  }
  assert {
    condition     = { for key, right in google_bigquery_table_iam_member.warehouse_writer : key => "${right.member} ${right.role} ${right.table_id}" } == { usage_raw = "serviceAccount:writer@p roles/bigquery.dataEditor usage_raw" }
    error_message = "Pub/Sub writes the tables that are filled from topics, and no other."
  }
  assert {
    condition = alltrue([
      google_project_iam_member.builder_logs.role == "roles/logging.logWriter",
      google_artifact_registry_repository_iam_member.builder_writes.role == "roles/artifactregistry.writer",
      google_artifact_registry_repository_iam_member.builder_writes.repository == google_artifact_registry_repository.images.name,
      google_storage_bucket_iam_member.builder_reads.role == "roles/storage.objectViewer",
      google_storage_bucket_iam_member.builder_reads.bucket == "my-project-oco-source",
      google_project_iam_member.builder_reads_copy.role == "roles/storage.objectViewer",
      google_project_iam_member.builder_reads_copy.condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-\")",
    ])
    error_message = "The builder reads sources, writes images and logs."
  }
  assert {
    condition = alltrue([
      for right in [
        google_project_iam_member.builder_logs, google_artifact_registry_repository_iam_member.builder_writes,
        google_storage_bucket_iam_member.builder_reads, google_project_iam_member.builder_reads_copy,
      ] : right.member == "serviceAccount:builder@p"
    ])
    error_message = "Builds run as the builder."
  }
  assert {
    condition     = length(google_project_iam_member.vertex) == 0 && length(google_iap_web_cloud_run_service_iam_member.passer) == 0 && length(google_cloud_run_v2_service_iam_member.iap) == 0
    error_message = "What is not chosen has no rights."
  }

  # Secrets are mounted when they are there.
  assert {
    condition     = jsonencode(keys(google_secret_manager_secret.secret)) == jsonencode(["fingerprint-key"]) && length(google_secret_manager_secret_version.given) == 0
    error_message = "Only what is made here is there."
  }
  assert {
    condition     = { for key, mounts in local.mounts : key => keys(mounts) } == { api = [], brownout_tick = [], brownout_webhook = [], budgets = [], incidents = [], insights = [], notifier = [], pricing = [], proxy = ["FINGERPRINT_KEY"], usage = [] }
    error_message = "A key that nobody gave is not mounted: ${jsonencode(local.mounts)}"
  }
  assert {
    condition     = local.mounts["proxy"]["FINGERPRINT_KEY"] == { secret = "oco-fingerprint-key", version = "7" }
    error_message = "A mounted secret is pinned to its version."
  }
  assert {
    condition     = random_password.generated["fingerprint-key"].length == 48 && google_secret_manager_secret_version.generated["fingerprint-key"].secret_data == "at-random"
    error_message = "The fingerprint key is random."
  }
  assert {
    condition     = google_secret_manager_secret.secret["fingerprint-key"].replication[0].user_managed[0].replicas[0].location == "europe-west1"
    error_message = "Secrets stay in the region."
  }
}
