output "scopes" {
  description = "Scopes with thresholds of their own, which stand in no output here."
  value       = keys(try(local.policy.per_scope, {}))
}

output "thresholds" {
  description = "By level and measure: the amount above which the level begins, that below which it is over, how many calls it takes, and what a latency is of."
  value = {
    for key, each in local.read : key => {
      level   = each.level
      measure = each.measure
      of      = each.of
      calls   = each.calls
      # The same digits for a monitor's query and its threshold: 5% is not to become 0.05000000001.
      above   = trimsuffix(replace(format("%.9f", each.amount), "/0+$/", ""), ".")
      recover = trimsuffix(replace(format("%.9f", each.amount * each.share), "/0+$/", ""), ".")
    } if each.amount != null && each.share != null
  }

  precondition {
    condition     = length(local.unread) == 0
    error_message = "The policy's thresholds cannot be read: ${join("; ", [for key in local.unread : "${key}: ${local.written[key].text}"])}. Write a latency as 2000ms or 2s, an error rate as 5%, a cost as $50, pending requests as 100."
  }
}
