"""What Panoptes does when parts of it fail, over a long time, and beyond its capacity; see docs/reliability.md."""
