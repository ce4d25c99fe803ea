"""What trains the bundled weights: one module for each model, started by `python -m training`."""
