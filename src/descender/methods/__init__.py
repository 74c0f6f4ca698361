"""How a step is chosen."""
