"""The loop and its state; it knows nothing of competitions."""
