"""Kubernetes audit events: from log files, followed files and the API server's web hook."""
