"""Alerts: rules as data, their evaluation, and the remedy machine that tunes and heals within bounds."""
