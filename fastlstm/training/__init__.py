"""Training on plain arrays: networks, losses, solvers, schedules and the training loop."""
