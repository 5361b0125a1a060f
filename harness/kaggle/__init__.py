"""The Kaggle road: data in, kernels and submissions out, and what the leaderboard says of them.

Everything goes through the `kaggle` package (the extra `kaggle`), imported inside `service.connect` only. These modules
read finished runs and train nothing.
"""
