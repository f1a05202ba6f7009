"""Training on plain arrays: network, losses, solvers, schedules and the loop over minibatches."""
