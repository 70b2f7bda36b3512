"""What two or more methods share: argument checks, parameter selection, plots and the report page."""
