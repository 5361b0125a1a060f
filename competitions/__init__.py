"""One file per competition; the file name is the registration."""
