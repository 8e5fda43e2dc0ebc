"""Thousands of small worlds: the real engine and the real store, in virtual time, against a truth that is known.

``world`` makes a seed into steps, ``run`` plays them (feeds, faults, kills) and checks the invariants after every
event, ``judge`` compares the end with the truth, ``shrink`` finds the shortest story that still fails.
"""
