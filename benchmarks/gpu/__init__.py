"""What one GPU gives: raw limits, what handles and HTTP leave of them, packing, and clustering; see gpu.md."""
