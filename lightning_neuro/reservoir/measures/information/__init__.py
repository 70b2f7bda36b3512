"""Estimators of entropy and information as pure functions of samples: nothing here knows what a reservoir is."""
