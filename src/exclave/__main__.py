"""`python -m exclave`: the `exclave` command."""

from exclave.cli import main

main()
