"""Ray Jobs: clients of the running application, and the training of the bundled weights."""
