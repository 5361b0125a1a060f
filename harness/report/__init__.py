"""Pictures of what happened; it reads numbers and trains nothing."""
