"""cleanmails: a self-hosted engine for multi-step cold e-mail campaigns."""

__version__ = "0.1.0"
