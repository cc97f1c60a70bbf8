# The thresholds of a policy of brownouts, as monitors ask for them: seconds, shares and USD an hour, in
# decimal digits. People write 2000ms, 5% or $50; what cannot be read so stops the plan, with its place.

locals {
  defaults = "${path.module}/../../../common/brownout/defaults.yaml"
  shipped  = yamldecode(file(local.defaults))
  policy   = yamldecode(file(coalesce(var.policy_file, local.defaults)))

  levels = ["soft", "hard", "emergency"]
  units  = { ms = [1, 1000], s = [1, 1], m = [60, 1], h = [3600, 1] }

  # A threshold is its amount, or an object that says more than that.
  written = merge([
    for level in local.levels : {
      for measure, cell in try(local.policy.thresholds[level], {}) : "${level} ${measure}" => {
        level   = level
        measure = measure
        text    = trimspace(try(tostring(cell.above), tostring(cell), ""))
        of      = try(cell.of, local.policy.reading[measure].of, local.shipped.reading[measure].of, "")
        calls   = try(local.policy.reading[measure].min_calls, local.shipped.reading[measure].min_calls, 1)
        recover = trimspace(try(tostring(local.policy.reading[measure].recover_at), tostring(local.shipped.reading[measure].recover_at), "1.0"))
      }
    }
  ]...)

  read = {
    for key, each in local.written : key => {
      level   = each.level
      measure = each.measure
      of      = each.of
      calls   = each.calls
      amount = lookup({
        latency_p95 = try(
          tonumber(regex("^([0-9]{1,9}(?:\\.[0-9]{1,3})?)\\s?(ms|s|m|h)$", each.text)[0]) * local.units[regex("(ms|s|m|h)$", each.text)[0]][0] / local.units[regex("(ms|s|m|h)$", each.text)[0]][1],
          null,
        )
        error_rate = try(
          tonumber(regex("^([0-9]{1,3}(?:\\.[0-9]{1,20})?)\\s?%$", each.text)[0]) / 100,
          tonumber(regex("^(0|[01]\\.[0-9]{1,20})$", each.text)[0]),
          null,
        )
        token_cost_per_hour = try(
          tonumber(regex("^\\$\\s?([0-9]{1,9}(?:\\.[0-9]{1,9})?)$", each.text)[0]),
          tonumber(regex("^([0-9]{1,9}(?:\\.[0-9]{1,9})?)\\s?USD$", each.text)[0]),
          null,
        )
        pending_requests = try(tonumber(regex("^(0|[1-9][0-9]{0,8})$", each.text)[0]), null)
      }, each.measure, null)
      share = try(
        tonumber(regex("^([0-9]{1,3}(?:\\.[0-9]{1,20})?)\\s?%$", each.recover)[0]) / 100,
        tonumber(regex("^([01](?:\\.[0-9]{1,20})?)$", each.recover)[0]),
        null,
      )
    }
  }
  unread = [for key, each in local.read : key if each.amount == null || each.share == null]
}
