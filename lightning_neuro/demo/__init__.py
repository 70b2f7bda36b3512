"""Demonstration: every method against training without it, on real images, with a report at the end."""

from lightning_neuro.demo.runner import run_demo
from lightning_neuro.demo.spiking_classifier import SpikingClassifier

__all__ = ["SpikingClassifier", "run_demo"]
