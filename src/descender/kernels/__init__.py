"""The compiled inner loops, and what they need of the machine."""
