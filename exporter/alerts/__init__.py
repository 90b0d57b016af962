"""Alerts: what a match becomes, its JSON and text forms, and the queue that carries it over."""
