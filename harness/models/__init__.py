"""Nets and their inference; they know nothing of files of pictures or of training."""
