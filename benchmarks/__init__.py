"""What the README claims, measured again by one command."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
