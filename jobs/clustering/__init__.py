"""The parts of `jobs.cluster`: reading vectors, searching neighbours in threads or Ray tasks, tables and report."""
