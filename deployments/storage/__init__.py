"""Files that are there complete or not at all: on this machine, or wherever fsspec reaches."""
