"""Measurements with ratios side by side; nothing here is a test."""
