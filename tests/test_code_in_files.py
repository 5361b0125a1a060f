"""Nothing that is read can run: no reader in the source executes what a file holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("harness", "competitions", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
MODULES = {"cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "pickle", "ruamel", "shelve", "yaml"}
BUILTINS = {"__import__", "compile", "eval", "exec"}
# a pickle that is refused raises this; nothing else of the module may be named
ALLOWED = {("harness/models/tensors.py", "pickle")}


def offences(source: str, name: str) -> Iterator[str]:
    """What in a source file could run code that stands in another file."""
    for node in ast.walk(ast.parse(source)):
        place = f"{name}:{getattr(node, 'lineno', 0)}"
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            if module.split(".")[0] in MODULES and (name, module) not in ALLOWED:
                yield f"{place}: imports {module}"
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle" and node.attr != "UnpicklingError":
            yield f"{place}: pickle.{node.attr}"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        words = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if called in BUILTINS or called in ("os.system", "os.popen") or called.endswith(("read_pickle", ".jit.load")):
            yield f"{place}: calls {called}"
        if called in ("torch.load", "torch.hub.load") and words.get("weights_only") != "True":
            yield f"{place}: {called} without weights_only=True"
        if words.get("allow_pickle", "False") != "False" or words.get("shell", "False") != "False":
            yield f"{place}: {ast.unparse(node)}"


def test_no_source_file_can_run_what_a_file_holds() -> None:
    assert len(SOURCES) > 100
    found = [line for path in SOURCES for line in offences(path.read_text(), path.relative_to(ROOT).as_posix())]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "pickle.load(handle)",
        "from pickle import loads",
        "import yaml",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "eval(text)",
        "exec(text)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
    ],
)
def test_the_check_finds_each_way_to_run_it(line: str) -> None:
    assert len(list(offences(line, "harness/models/other.py"))) == 1
    assert not list(offences("net.eval(); re.compile(x); torch.load(p, weights_only=True)", "a.py"))
