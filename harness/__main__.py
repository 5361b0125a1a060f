"""`python -m harness`, which is what `torchrun -m harness` runs."""

from harness.cli import main

if __name__ == "__main__":
    main()
