"""Learning rate and length found by experiment; knows a bench to train on, and nothing of competitions."""
