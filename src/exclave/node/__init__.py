"""The node: composition and lifecycle (`exclave.node.node.run_node`)."""
