"""Simulated worlds: what they find, that a seed is one world, and that planted faults are found."""
