"""`python -m lightning_neuro` is `lightning-neuro`."""

import sys

from lightning_neuro.cli import main

sys.exit(main())
