"""The ingestion of Dutch traffic decisions from KOOP, which publishes the government's official publications."""
