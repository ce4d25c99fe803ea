"""Ray Jobs: bulk work through the running application."""
