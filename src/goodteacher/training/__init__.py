"""Optimisation: one network, or many stacked students, through one loop."""
