"""The job `jobs.clustering`: reads vectors, searches neighbours in threads or Ray tasks, writes tables and a report."""
