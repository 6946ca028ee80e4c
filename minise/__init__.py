"""minise: an autograd engine on plain arrays for channel-attention networks."""

__version__ = "0.1.0"
