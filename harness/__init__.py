"""From a competition's data folder to honest k-fold scores and a validated submission file."""

__version__ = "0.1.0"
