"""The wire types, one module per family of routes."""
