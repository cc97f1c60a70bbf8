# Secrets. People give theirs through secret_values, which is never stored; the fingerprint key is
# made here and stands in the state, which is why the state belongs in a private bucket.

locals {
  # Secrets that people name, by the function whose prefix they begin with: its variable and the name.
  chosen_secrets = {
    for key, row in local.rows : key => {
      for name in keys(var.secret_versions) : upper(replace(name, "-", "_")) => name
      if anytrue([for prefix in row.secret_prefixes : can(regex("^${prefix}[a-z0-9-]{1,100}$", name))])
    }
  }
  secret_prefixes = distinct(flatten([for row in values(local.rows) : row.secret_prefixes]))

  generated_secrets = toset(["fingerprint-key"])
  given_secrets     = setsubtract(flatten([for function in values(local.functions) : values(function.secrets)]), local.generated_secrets)
  secrets           = setunion(local.generated_secrets, keys(var.secret_versions))

  mounted_secrets = merge(
    {
      for name in local.generated_secrets : name => {
        secret  = google_secret_manager_secret.secret[name].secret_id
        version = google_secret_manager_secret_version.generated[name].version
      }
    },
    {
      for name in keys(var.secret_versions) : name => {
        secret  = google_secret_manager_secret.secret[name].secret_id
        version = google_secret_manager_secret_version.given[name].version
      }
    },
  )
}

resource "google_secret_manager_secret" "secret" {
  for_each = local.secrets

  project   = var.project_id
  secret_id = "${var.prefix}-${each.key}"
  labels    = local.labels

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [google_project_service.api]
}

resource "random_password" "generated" {
  for_each = local.generated_secrets

  length  = 48
  special = false
}

resource "google_secret_manager_secret_version" "generated" {
  for_each = local.generated_secrets

  secret      = google_secret_manager_secret.secret[each.key].id
  secret_data = random_password.generated[each.key].result
}

# A new number without a value is refused by Secret Manager ("Field [payload] is required"). No check
# can say so before: conditions see whether a value is there, and not whether its version is.
resource "google_secret_manager_secret_version" "given" {
  for_each = var.secret_versions

  secret                 = google_secret_manager_secret.secret[each.key].id
  secret_data_wo         = lookup(var.secret_values, each.key, null)
  secret_data_wo_version = each.value

  # Functions move to the new version before the old one goes.
  lifecycle {
    create_before_destroy = true
  }
}
