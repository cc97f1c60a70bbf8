# What makes no sense stops the plan here, with the row and the rule.

locals {
  row_keys = [
    "triggers", "memory", "cpu", "concurrency", "timeout", "instances", "extras", "env", "secrets",
    "secret_prefixes", "publishes", "state", "warehouse",
  ]
  unknown_keys = setunion(
    setsubtract(keys(local.table), ["defaults", "functions", "schedules"]),
    setsubtract(flatten([for row in concat([local.table.defaults], values(local.table.functions)) : keys(row)]), local.row_keys),
    setsubtract(flatten([for schedule in values(local.schedules) : keys(schedule)]), ["cron", "command", "data"]),
  )

  named_secrets = concat(tolist(local.generated_secrets), flatten([for row in values(local.rows) : values(row.secrets)]))

  # Rows that break a rule, by the rule.
  broken = {
    name = [
      for key, function in local.functions : key
      if !can(regex("^[a-z][a-z0-9_]*$", key)) || length(function.account) > 30
    ]
    trigger = [
      for key, row in local.rows : key
      if !alltrue([for trigger in row.triggers : contains(["http", "topic", "topic types"], join(" ", keys(trigger)))])
    ]
    http = [
      for key, function in local.functions : key
      if length(setsubtract(function.http, ["public", "private", "iap"])) > 0
    ]
    two_doors = [for key, function in local.functions : key if length(function.http) > 1]
    iap_and_topic = [
      for key, function in local.behind_iap : key if length(function.consumes) > 0
    ]
    topic = [
      for key, function in local.functions : key
      if length(setsubtract(concat(function.publishes, function.consumes[*].topic), local.topics)) > 0
    ]
    topic_twice = [
      for key, function in local.functions : key
      if length(distinct(function.consumes[*].topic)) < length(function.consumes)
    ]
    type = [
      for key, function in local.functions : key
      if !alltrue([
        for type in flatten([for trigger in function.consumes : try(trigger.types, [])]) :
        can(regex("^[a-z][a-z0-9_]*\\.[a-z0-9_.]*$", type))
      ])
    ]
    access = [
      for key, function in local.functions : key
      if length(setsubtract([function.state, function.warehouse], ["none", "read", "write"])) > 0
    ]
    size = [
      for key, function in local.functions : key
      if !alltrue([
        can(regex("^[1-9][0-9]*[MG]i$", function.memory)),
        function.cpu >= 1,
        function.concurrency >= 1,
        function.concurrency <= 1000,
        function.timeout >= 1,
        function.timeout <= (length(function.consumes) > 0 ? 600 : 3600),
        function.instances.min >= 0,
        function.instances.max >= max(1, function.instances.min),
      ])
    ]
    secret_in_env = [
      for key, function in local.functions : key
      if length(setintersection(keys(function.env), keys(function.secrets))) > 0 || anytrue([
        for pair in setproduct(keys(function.env), local.rows[key].secret_prefixes) : startswith(pair[0], upper(replace(pair[1], "-", "_")))
      ])
    ]
    secret_prefix = [
      for key, row in local.rows : key
      if !alltrue([
        for prefix in row.secret_prefixes :
        can(regex("^[a-z][a-z0-9-]*-$", prefix)) && !anytrue([for name in local.named_secrets : startswith(name, prefix)])
      ])
    ]
    cron = [
      for key, schedule in local.schedules : key
      if !can(regex("^(\\*|[0-9]{1,2})( (\\*|[0-9]{1,2})){4}$", schedule.cron))
    ]
    command = [
      for key, schedule in local.schedules : key
      if !can(regex("^[a-z][a-z0-9_]*\\.[a-z0-9_.]+$", schedule.command))
    ]
  }
  rules = {
    name          = "is no name: lower-case letters, digits and _, and ${30 - length(var.prefix) - 1} characters at most with this prefix"
    trigger       = "has a trigger that is neither {http: ...} nor {topic: ..., types: [...]}"
    http          = "has an http trigger that is neither public nor private nor iap"
    two_doors     = "has two http triggers: a function has one front door"
    iap_and_topic = "is behind IAP and consumes a topic: IAP lets no push through"
    topic         = "names a topic that does not exist. There are ${join(", ", local.topics)}"
    topic_twice   = "has two triggers of one topic: write their types into one"
    type          = "consumes a type that is none, such as usage.call, or usage. for all that begin with it"
    access        = "has a state or a warehouse that is neither none nor read nor write"
    size          = "has a size that is none: memory such as 512Mi, cpu from 1, concurrency 1 to 1000, timeout 1 to 3600 s (600 s with a topic), instances {min: from 0, max: from 1 and not below min}"
    secret_in_env = "has a secret among its environment variables: give it by secret_versions and secret_values"
    secret_prefix = "has a secret prefix that is none, such as channel-, or that a secret of the table begins with"
    cron          = "has a cron that is not five fields, each a number or *"
    command       = "has a command that is none, such as budgets.sweep"
  }
  too_long = [for filter in values(local.filters) : filter if length(filter) > 256]
}

resource "terraform_data" "checked" {
  lifecycle {
    precondition {
      condition     = length(setsubtract(keys(local.functions), keys(local.manifest))) == 0
      error_message = "No bundle of ${join(", ", setsubtract(keys(local.functions), keys(local.manifest)))} in ${local.bundles}: run scripts/bundle first."
    }
    precondition {
      condition     = length(setsubtract(keys(var.functions), keys(local.functions))) == 0
      error_message = "functions names ${join(", ", setsubtract(keys(var.functions), keys(local.functions)))}, which functions/functions.yaml does not have. It has ${join(", ", keys(local.functions))}."
    }
    precondition {
      condition     = length(local.unknown_keys) == 0
      error_message = "functions/functions.yaml has a key that nothing reads: ${join(", ", local.unknown_keys)}."
    }
    precondition {
      condition     = length(flatten(values(local.broken))) == 0
      error_message = join("\n", [for rule, rows in local.broken : "In functions/functions.yaml ${join(", ", rows)} ${local.rules[rule]}." if length(rows) > 0])
    }
    precondition {
      condition     = length(local.too_long) == 0
      error_message = "A filter is longer than the 256 characters that Pub/Sub takes: ${join("; ", local.too_long)}. A type that ends in a dot stands for all that begin with it."
    }
    precondition {
      condition     = length(setsubtract(keys(var.secret_versions), local.given_secrets)) == 0
      error_message = "secret_versions names ${join(", ", setsubtract(keys(var.secret_versions), local.given_secrets))}, which no function mounts. Known: ${join(", ", local.given_secrets)}; and names of a-z, 0-9 and - that begin with: ${join(", ", local.secret_prefixes)}."
    }
    precondition {
      condition     = length(var.console_members) == 0 || length(local.behind_iap) > 0
      error_message = "console_members names who may pass IAP, and no function is behind it."
    }
    precondition {
      condition     = length(setsubtract(["api", "proxy"], keys(local.functions))) == 0
      error_message = "functions/functions.yaml lacks ${join(", ", setsubtract(["api", "proxy"], keys(local.functions)))}, which the outputs name."
    }
  }
}
