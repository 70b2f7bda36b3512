"""SM-G: safe mutations that evolve deep and recurrent torch modules inside a Trainer (arXiv 1712.06563)."""
