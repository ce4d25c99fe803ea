"""What one GPU can do: raw limits, throughput through handles and over HTTP, packing, and clustering; see gpu.md."""
