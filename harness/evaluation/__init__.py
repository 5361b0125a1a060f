"""Out-of-fold decisions, scores, intervals and baselines."""
