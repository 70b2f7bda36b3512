"""What tests of several files share: recorded numbers and small models."""
