"""Adversaries for drills and tests (docs/drills.md). Nothing of Exclave uses them."""
