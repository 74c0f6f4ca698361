"""What one can ask for: minimise a cost, fit a table, sweep a grid, learn from a stream."""
