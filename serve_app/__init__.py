"""The ingress: HTTP in, handles out. Knows no model library."""
