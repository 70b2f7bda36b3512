"""Reservoirs: what they compute, how they organise themselves, and how a measure guides them."""
