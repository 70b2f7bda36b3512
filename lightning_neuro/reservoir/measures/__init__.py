"""Measures of dynamics, capacity and information of reservoirs."""
