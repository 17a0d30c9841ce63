"""The MNIST experiment: data, trainer, sweeps, recordings, benchmark and command line."""
