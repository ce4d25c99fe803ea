"""The same model on LitServe, which runs in a virtual environment of its own."""
