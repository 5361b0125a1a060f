"""Rows become batches: locate, cache, folds, augmentation, order, loader."""
