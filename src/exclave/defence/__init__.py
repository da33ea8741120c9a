"""The node's defence of its claims: it answers whatever is asked of them, and proves what is challenged."""
