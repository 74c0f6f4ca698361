"""Multilayer perceptrons and a plain recurrent network: layers, their backpropagation, and the cost around them."""
