"""Processes that read one file of a stranger with native code, and what they may do."""
