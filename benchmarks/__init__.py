"""The project's figures, each measured beside its peer in the same run: `python -m benchmarks --help`."""
