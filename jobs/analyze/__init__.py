"""Every image of a folder or bucket through the running application, into parquet: `python -m jobs.analyze`."""
