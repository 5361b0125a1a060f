"""Competitions that belong to no page: a user's own data, read as it lies. Not among the shipped ones."""
