"""Analyse every image of a folder or bucket by the running application, into parquet: `python -m jobs.analyze`."""
