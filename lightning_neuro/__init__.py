"""Research methods for spiking, recurrent and reservoir networks as drop-in parts for PyTorch Lightning."""

__version__ = "0.1.0.dev0"
