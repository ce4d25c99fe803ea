"""Atomic writes of files, on this machine or on any file system of fsspec."""
