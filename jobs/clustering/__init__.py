"""The parts of `jobs.clustering`: reading vectors, searching neighbours in threads or Ray tasks, tables and
report."""
