"""The watchtower: re-executes what is claimed on L1, and disputes what is wrong (docs/challenging.md)."""
