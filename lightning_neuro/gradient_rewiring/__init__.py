"""Grad R."""
