"""Where the project lies on this machine, and how Ray runs on it."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
BUNDLED = PROJECT / "deployments" / "bundled"
# Set to "0", Ray runs for one machine, as on macOS and Windows: the address of its node is 127.0.0.1.
LOOPBACK_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
