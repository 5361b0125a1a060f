"""How long `harness --help` and `harness list` take, beside a bare interpreter and `import torch`.

Run: python -m benchmarks.startup
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "harness --help": ["-c", "from harness.cli import main; main(['--help'])"],
    "harness list": ["-c", "from harness.cli import main; main(['list'])"],
    "python -c 'import torch'": ["-c", "import torch"],
}
ROUNDS = 9


def main() -> None:
    """Prints the median of each command over interleaved rounds, and its ratio to `import torch`."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            begin = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - begin)
    slowest = statistics.median(seconds["python -c 'import torch'"])
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f"{name:26} {middle:6.3f} s  ({min(times):.3f} to {max(times):.3f})  {middle / slowest:5.2f} of torch")


if __name__ == "__main__":
    main()
