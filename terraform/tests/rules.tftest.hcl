# What makes no sense stops the plan. Only the resource that checks is planned.

mock_provider "google" {}
mock_provider "google-beta" {}
mock_provider "random" {}
mock_provider "time" {}

variables {
  project_id    = "my-project"
  bundle_dir    = "tests/bundle"
  secret_values = {}
}

run "the_table_as_it_is" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  assert {
    condition     = length(flatten(values(local.broken))) == 0 && length(local.unknown_keys) == 0 && length(local.too_long) == 0
    error_message = "Rules that the table breaks: ${jsonencode(local.broken)} ${jsonencode(local.unknown_keys)} ${jsonencode(local.too_long)}"
  }
  assert {
    condition     = jsonencode(keys(local.broken)) == jsonencode(keys(local.rules))
    error_message = "Every rule has its sentence."
  }
}

run "every_rule_finds_its_row" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    functions_table = <<-EOT
      defaults: {triggers: [], memory: 512Mi, cpu: 1, concurrency: 80, timeout: 60, instances: {min: 0, max: 10}, env: {},
                 secrets: {}, secret_prefixes: [], publishes: [], state: none, warehouse: none}
      functions:
        proxy: {triggers: [{http: public}]}
        api: {triggers: [{http: private}, {topic: events, types: [key., usage.call]}], timeout: 600, publishes: [usage]}
        console: {triggers: [{http: iap}]}
        Capital: {}
        a_name_of_more_than_26_characters: {}
        trigger_neither: {triggers: [{http: public, topic: events}]}
        trigger_misspelt: {triggers: [{topics: events}]}
        trigger_more: {triggers: [{topic: events, type: [usage.call]}]}
        http_everybody: {triggers: [{http: everybody}]}
        two_doors: {triggers: [{http: public}, {http: private}]}
        iap_and_topic: {triggers: [{http: iap}, {topic: events}]}
        topic_unknown: {triggers: [{topic: event}]}
        topic_published: {publishes: [usages]}
        topic_twice: {triggers: [{topic: events, types: [a.]}, {topic: events, types: [b.]}]}
        type_without_dot: {triggers: [{topic: events, types: [usage]}]}
        type_with_quote: {triggers: [{topic: events, types: ['a."']}]}
        state_all: {state: all}
        warehouse_all: {warehouse: all}
        memory_bytes: {memory: '512'}
        cpu_none: {cpu: 0}
        concurrency_none: {concurrency: 0}
        concurrency_much: {concurrency: 1001}
        timeout_none: {timeout: 0}
        timeout_much: {triggers: [{http: public}], timeout: 3601}
        timeout_of_topic: {triggers: [{topic: events}], timeout: 601}
        instances_negative: {instances: {min: -1, max: 1}}
        instances_none: {instances: {min: 0, max: 0}}
        instances_few: {instances: {min: 3, max: 2}}
        secret_in_env: {env: {KEY: x}, secrets: {KEY: key}}
        chosen_in_env: {env: {HOOK_A: x}, secret_prefixes: [hook-]}
        chosen_not: {env: {HOOKS: x}, secret_prefixes: [hook-]}
        prefix_of_all: {secret_prefixes: ['']}
        prefix_open: {secret_prefixes: [hook]}
        prefix_wild: {secret_prefixes: ['.*-']}
        prefix_of_another: {secret_prefixes: [hook-, vendor-]}
        prefix_of_made: {secret_prefixes: [fingerprint-]}
        vendor: {secrets: {VENDOR_KEY: vendor-key}}
      schedules:
        good: {cron: "17 3 * * *", command: a.b, data: {}}
        steps: {cron: "*/5 * * * *", command: a.b, data: {}}
        four: {cron: "* * * *", command: a.b, data: {}}
        word: {cron: "* * * * *", command: sweep, data: {}}
    EOT
  }

  expect_failures = [terraform_data.checked]

  assert {
    condition = jsonencode(local.broken) == jsonencode({
      access        = ["state_all", "warehouse_all"]
      command       = ["word"]
      cron          = ["four", "steps"]
      http          = ["http_everybody"]
      iap_and_topic = ["iap_and_topic"]
      name          = ["Capital", "a_name_of_more_than_26_characters"]
      secret_in_env = ["chosen_in_env", "secret_in_env"]
      secret_prefix = ["prefix_of_all", "prefix_of_another", "prefix_of_made", "prefix_open", "prefix_wild"]
      size = [
        "concurrency_much", "concurrency_none", "cpu_none", "instances_few", "instances_negative", "instances_none", "memory_bytes",
        "timeout_much", "timeout_none", "timeout_of_topic",
      ]
      topic       = ["topic_published", "topic_unknown"]
      topic_twice = ["topic_twice"]
      trigger     = ["trigger_misspelt", "trigger_more", "trigger_neither"]
      two_doors   = ["two_doors"]
      type        = ["type_with_quote", "type_without_dot"]
    })
    error_message = "Found: ${jsonencode(local.broken)}"
  }
}

run "every_unknown_key_is_found" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    functions_table = <<-EOT
      defaults: {triggers: [], memory: 512Mi, cpu: 1, concurrency: 80, timeout: 60, instances: {min: 0, max: 10}, env: {},
                 secrets: {}, secret_prefixes: [], publishes: [], state: none, warehouse: none, cpus: 1}
      functions:
        proxy: {triggers: [{http: public}], publish: [usage]}
        api: {triggers: [{http: private}]}
      schedules:
        good: {cron: "17 3 * * *", command: a.b, data: {}, time_zone: Etc/UTC}
      schedule: {}
    EOT
  }

  expect_failures = [terraform_data.checked]

  assert {
    condition     = join(" ", local.unknown_keys) == "cpus publish schedule time_zone"
    error_message = "Found: ${jsonencode(local.unknown_keys)}"
  }
}

run "without_bundles" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    bundle_dir = "tests/mocks"
  }

  expect_failures = [terraform_data.checked]
}

run "with_a_function_that_is_not_there" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    functions = { proxi = { memory = "1Gi" } }
  }

  expect_failures = [terraform_data.checked]
}

run "with_a_key_that_nothing_reads" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    functions_table = replace(file("../functions/functions.yaml"), "warehouse: none", "warehouse: none\n  warehous: none")
  }

  expect_failures = [terraform_data.checked]

  assert {
    condition     = join(" ", local.unknown_keys) == "warehous"
    error_message = "Found: ${jsonencode(local.unknown_keys)}"
  }
}

run "with_a_row_that_breaks_a_rule" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    functions_table = replace(file("../functions/functions.yaml"), "command: budgets.sweep,", "command: sweep,")
  }

  expect_failures = [terraform_data.checked]

  assert {
    condition     = length(flatten(values(local.broken))) == 1 && length(local.unknown_keys) == 0
    error_message = "Found: ${jsonencode(local.broken)}"
  }
}

run "with_a_secret_in_the_environment" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    functions = { proxy = { env = { FINGERPRINT_KEY = "in plain sight" } } }
  }

  expect_failures = [terraform_data.checked]

  assert {
    condition     = jsonencode(local.broken.secret_in_env) == jsonencode(["proxy"])
    error_message = "Found: ${jsonencode(local.broken)}"
  }
}

run "with_a_filter_that_is_too_long" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    # 11 times `attributes.type = "usage.call"` and OR between them: 337 characters.
    functions_table = replace(file("../functions/functions.yaml"), "types: [usage.call, usage.corrected, call.feedback]", "types: [${join(", ", [for number in range(11) : "usage.call"])}]")
  }

  expect_failures = [terraform_data.checked]

  assert {
    condition     = length(local.too_long) == 1
    error_message = "Found: ${jsonencode(local.too_long)}"
  }
}

run "with_a_filter_that_just_fits" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    functions_table = replace(file("../functions/functions.yaml"), "types: [usage.call, usage.corrected, call.feedback]", "types: [${join("", [for number in range(225) : "a"])}.]")
  }

  assert {
    condition     = contains([for filter in values(local.filters) : length(filter)], 256)
    error_message = "Lengths: ${jsonencode([for filter in values(local.filters) : length(filter)])}"
  }
}

run "with_a_secret_that_no_function_mounts" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    secret_versions = { openai-key = 1 }
  }

  expect_failures = [terraform_data.checked]
}

run "with_the_secret_that_is_made_here" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    secret_versions = { fingerprint-key = 1 }
  }

  expect_failures = [terraform_data.checked]
}

run "with_a_secret_that_has_a_prefix_alone" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    secret_versions = { channel- = 1 }
  }

  expect_failures = [terraform_data.checked]
}

run "with_a_secret_that_is_no_variable" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    secret_versions = { channel-ops_slack = 1 }
  }

  expect_failures = [terraform_data.checked]
}

run "with_a_secret_of_a_prefix_inside" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    secret_versions = { my-channel-ops = 1 }
  }

  expect_failures = [terraform_data.checked]
}

run "with_a_secret_of_a_channel_in_the_environment" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    functions = { notifier = { env = { CHANNEL_OPS = "in plain sight" } } }
  }

  expect_failures = [terraform_data.checked]

  assert {
    condition     = jsonencode(local.broken.secret_in_env) == jsonencode(["notifier"])
    error_message = "Found: ${jsonencode(local.broken)}"
  }
}

run "with_people_before_a_door_that_is_not_there" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    console_members = ["user:ada@example.com"]
  }

  expect_failures = [terraform_data.checked]
}

run "without_the_api" {
  command = plan

  plan_options {
    target = [terraform_data.checked]
  }

  variables {
    functions_table = <<-EOT
      defaults: {triggers: [], memory: 512Mi, cpu: 1, concurrency: 80, timeout: 60, instances: {min: 0, max: 10}, env: {},
                 secrets: {}, secret_prefixes: [], publishes: [], state: none, warehouse: none}
      functions:
        proxy: {triggers: [{http: public}]}
      schedules: {}
    EOT
  }

  expect_failures = [terraform_data.checked]
}
