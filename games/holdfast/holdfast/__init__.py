"""Holdfast's client, bots and template: all that a node needs to have the game played."""
