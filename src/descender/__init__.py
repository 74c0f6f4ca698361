"""Gradient descent with no learning rate to choose."""
