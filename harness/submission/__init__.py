"""The CSV: writer, validator, grader."""
