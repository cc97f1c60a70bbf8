# Thresholds as people write them, and as monitors ask for them.

run "the_policy_that_comes_with_the_code" {
  command = plan

  assert {
    condition = jsonencode({ for key, each in output.thresholds : key => [each.above, each.recover] }) == jsonencode({
      "emergency error_rate"          = ["0.2", "0.12"]
      "emergency latency_p95"         = ["10", "7"]
      "emergency token_cost_per_hour" = ["200", "140"]
      "hard error_rate"               = ["0.1", "0.06"]
      "hard latency_p95"              = ["5", "3.5"]
      "hard token_cost_per_hour"      = ["100", "70"]
      "soft error_rate"               = ["0.05", "0.03"]
      "soft latency_p95"              = ["2", "1.4"]
      "soft token_cost_per_hour"      = ["50", "35"]
    })
    error_message = "Thresholds: ${jsonencode(output.thresholds)}"
  }
  assert {
    condition     = length(output.scopes) == 0
    error_message = "The shipped policy says the same for every scope."
  }
  assert {
    condition     = alltrue([for key, each in output.thresholds : key == "${each.level} ${each.measure}" && each.of == (each.measure == "latency_p95" ? "first_chunk" : "") && each.calls == (each.measure == "token_cost_per_hour" ? 1 : 20)])
    error_message = "Each says what it is: ${jsonencode(output.thresholds)}"
  }
}

run "a_policy_of_ones_own" {
  command = plan

  variables {
    policy_file = "tests/own.yaml"
  }

  assert {
    condition = jsonencode(output.thresholds) == jsonencode({
      "emergency latency_p95"    = { above = "60", calls = 20, level = "emergency", measure = "latency_p95", of = "total", recover = "30" }
      "hard error_rate"          = { above = "0.125", calls = 30, level = "hard", measure = "error_rate", of = "", recover = "0.075" }
      "hard pending_requests"    = { above = "100", calls = 1, level = "hard", measure = "pending_requests", of = "", recover = "100" }
      "soft error_rate"          = { above = "0.0525", calls = 30, level = "soft", measure = "error_rate", of = "", recover = "0.0315" }
      "soft latency_p95"         = { above = "0.8", calls = 20, level = "soft", measure = "latency_p95", of = "first_chunk", recover = "0.4" }
      "soft token_cost_per_hour" = { above = "12.5", calls = 1, level = "soft", measure = "token_cost_per_hour", of = "", recover = "8.75" }
    })
    error_message = "Thresholds: ${jsonencode(output.thresholds)}"
  }
}

run "a_policy_that_cannot_be_read" {
  command = plan

  variables {
    policy_file = "tests/wrong.yaml"
  }

  expect_failures = [output.thresholds]
}

run "a_recovery_that_cannot_be_read" {
  command = plan

  variables {
    policy_file = "tests/wrong_recovery.yaml"
  }

  expect_failures = [output.thresholds]
}

run "a_policy_about_whole_answers" {
  command = plan

  variables {
    policy_file = "tests/whole_answers.yaml"
  }

  assert {
    condition     = { for key, each in output.thresholds : key => each.of } == { "soft latency_p95" = "total", "hard latency_p95" = "first_chunk" }
    error_message = "A threshold says what it is of, and else the policy: ${jsonencode(output.thresholds)}"
  }
  assert {
    condition     = jsonencode(output.scopes) == jsonencode(["model:slow", "team:acme/support"])
    error_message = "Scopes with thresholds of their own: ${jsonencode(output.scopes)}"
  }
}
