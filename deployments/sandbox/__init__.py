"""Restricted processes, each of which parses one untrusted file with native code."""
