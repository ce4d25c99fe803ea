"""One module per model: a plain model class, then its thin Serve deployment."""
