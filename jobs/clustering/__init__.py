"""The parts of `jobs.cluster`: reading vectors, searching neighbours in Ray tasks, tables and report."""
