"""Dashboards: built from the metric catalogue and committed as JSON for Grafana to provision."""
