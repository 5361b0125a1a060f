"""The road to and from Kaggle: reads finished runs, never trains."""
