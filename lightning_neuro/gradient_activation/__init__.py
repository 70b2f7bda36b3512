"""GAF: gradient activation functions (arXiv 2107.04228) as a callback, an optimizer wrapper and plain functions."""
