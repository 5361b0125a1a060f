"""Which planted leaks are stopped or joined, for every adapter's sample: writes results/leaks.md.

Run: python -m benchmarks.leaks
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.planted import KINDS, bed, plant
from harness import files, registry

RESULT = Path(__file__).with_name("results") / "leaks.md"


def main() -> None:
    """Plants every kind into every sample; exits 1 where one passes."""
    names, sentences = registry.names(), dict[str, str]()
    cells = {kind: list[str]() for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            on = bed(name, Path(folder) / "cache", Path(folder) / name)
            for kind in KINDS:
                told = plant(kind, on)
                cells[kind].append("-" if told is None else told.partition(":")[0])
                if told is not None:
                    sentences.setdefault(kind, told.partition(": ")[2].replace(f"{folder}/", ""))
    lines = [
        "# Planted leaks",
        "",
        "`python -m benchmarks.leaks`: twelve kinds of leak, planted into the drawn sample of every adapter. A dash:",
        "the kind has no meaning there (a table has no pictures, a text no groups). Below, a sentence of each kind.",
        "",
        f"| kind | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
        *(f"| {kind} | {' | '.join(row)} |" for kind, row in cells.items()),
        "",
        *(f"- **{kind}**: {sentence}" for kind, sentence in sentences.items()),
    ]
    files.write_text(RESULT, "\n".join(lines) + "\n")
    print("\n".join(lines))
    if missing := set(KINDS) - set(sentences):
        raise SystemExit(f"planted nowhere: {', '.join(sorted(missing))}")


if __name__ == "__main__":
    main()
