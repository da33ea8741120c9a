"""Exclave: an off-chain zk-coprocessor for Ethereum, made for fully on-chain games."""

__version__ = "0.1.0"
