"""Pictures of the dashboards for the documentation: `make pictures`.

No Grafana is at hand where they are made. These modules read the dashboards' JSON, ask a real
Prometheus what Grafana would ask it, and draw the answers with HTML and SVG: `cluster` lives
through some minutes on a few nodes, `answers` asks, `charts` and `widgets` draw, `page` lays out.
"""
