"""A report page of a user's own run, from the logs and checkpoints that Lightning left behind."""

from lightning_neuro.run_report.page import write_run_report

__all__ = ["write_run_report"]
