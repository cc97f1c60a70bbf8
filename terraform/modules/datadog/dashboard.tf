# The dashboard, one widget for each row of dashboards/calls.yaml.

locals {
  panels     = [for panel in yamldecode(templatefile("${path.module}/../../dashboards/calls.yaml", { filter = "service:${var.service}" })) : panel if var.percentiles || !try(panel.percentiles, false)]
  panel_rows = distinct(local.panels[*].row)
}

resource "datadog_dashboard_json" "calls" {
  dashboard = jsonencode({
    title       = "Open Cloud Ops (${var.prefix}): calls and brownouts"
    layout_type = "ordered"
    widgets = [
      for row in local.panel_rows : {
        definition = {
          type        = "group"
          layout_type = "ordered"
          title       = row
          widgets = [
            for panel in local.panels : {
              definition = {
                type  = "timeseries"
                title = panel.title
                requests = [
                  for query in panel.datadog : {
                    display_type    = panel.kind
                    response_format = "timeseries"
                    queries         = [{ data_source = "metrics", name = "query", query = query }]
                    formulas        = [{ formula = "query" }]
                  }
                ]
              }
            } if panel.row == row
          ]
        }
      }
    ]
  })
}
