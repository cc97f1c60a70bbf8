# The dashboard, one tile for each row of dashboards/panels.yaml.

locals {
  panels      = yamldecode(templatefile("${path.module}/dashboards/panels.yaml", merge(local.watched, { prefix = var.prefix })))
  panel_rows  = distinct(local.panels[*].row)
  panel_kinds = { line = "LINE", stacked = "STACKED_AREA" }

  columns     = 48
  tile_height = 16

  tiles = flatten([
    for row_index, row in local.panel_rows : [
      for index, panel in [for panel in local.panels : panel if panel.row == row] : merge(
        # A position of 0 is left out, as the API does: it would be a difference for ever.
        {
          for side, place in {
            xPos = index * floor(local.columns / length([for panel in local.panels : panel if panel.row == row]))
            yPos = row_index * local.tile_height
          } : side => place if place > 0
        },
        {
          width  = floor(local.columns / length([for panel in local.panels : panel if panel.row == row]))
          height = local.tile_height
          widget = {
            title = panel.title
            xyChart = {
              dataSets = [{
                plotType        = local.panel_kinds[panel.kind]
                targetAxis      = "Y1"
                timeSeriesQuery = { prometheusQuery = panel.monitoring, unitOverride = panel.unit }
              }]
            }
          }
        },
      )
    ]
  ])
}

resource "google_monitoring_dashboard" "installation" {
  project = var.project_id
  dashboard_json = jsonencode({
    displayName  = "Open Cloud Ops (${var.prefix})"
    mosaicLayout = { columns = local.columns, tiles = local.tiles }
  })

  depends_on = [google_project_service.api, google_logging_metric.runs]
}
