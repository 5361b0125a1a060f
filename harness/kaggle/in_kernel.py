# The cells of a kernel: `harness bundle` writes them as a notebook and as a script. Never imported: the harness is not
# installed yet where they begin, so they stand on Python's own library alone.
# %% [markdown]
# Written by `harness bundle`. The first cells install what the image lacks and find the data; the last one writes
# `submission.csv` and holds it against the validator. Internet is not needed.
# %%
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# %% settings
MODE = "predict"
COMPETITION = ""
BUNDLE = "owner/slug"
KIND = "competition"  # of the data's source; "" where the data was added by hand
REFERENCE = "slug"
# %%
ROOT = Path(os.environ.get("HARNESS_KAGGLE") or "/kaggle")
INPUT, WORKING = ROOT / "input", ROOT / "working"
SCRATCH = Path(tempfile.mkdtemp(prefix="harness-"))


def mounted(kind: str, reference: str) -> Path:
    """The folder of a source, in the older layout of the input or in the newer."""
    slug = reference.split("/")[-1]
    places = [INPUT / slug, INPUT / ("datasets" if kind == "dataset" else "competitions") / reference]
    found = [place for place in places if place.is_dir()]
    filled = [place for place in found if any(place.iterdir())]
    if filled:
        return filled[0]
    if found:
        raise FileNotFoundError(f"{found[0]} is empty: a source that was just added may be; run the kernel again")
    raise FileNotFoundError(f"no {places[0]} and no {places[1]}: add the {kind} {reference} to the kernel's input")


def beside(*sources: str) -> list[Path]:
    """The folders of the input that are not of these sources."""
    tops = [place for place in INPUT.iterdir() if place.is_dir()]
    tops += [place for name in ("competitions", "datasets/*") for place in INPUT.glob(f"{name}/*") if place.is_dir()]
    known = {"competitions", "datasets", *(source.split("/")[-1] for source in sources)}
    return sorted({place for place in tops if place.name not in known})


def by_hand() -> Path:
    """The one folder of the input beside the bundle."""
    found = beside(BUNDLE)
    if len(found) != 1:
        raise FileNotFoundError(f"the data of {COMPETITION} is to be added by hand, one folder; {INPUT} has {found}")
    if not any(found[0].iterdir()):
        raise FileNotFoundError(f"{found[0]} is empty: a source that was just added may be; run the kernel again")
    return found[0]


def part(name: str) -> Path | None:
    """A folder of the bundle, unpacked where it lies in a zip; None where the bundle has none."""
    folder, packed = bundle / name, bundle / f"{name}.zip"
    if folder.is_dir() or not packed.exists():
        return folder if folder.is_dir() else None
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(SCRATCH / "unpacked" / name)
    return SCRATCH / "unpacked" / name


def copied(name: str, target: Path) -> None:
    """A folder of the bundle, if there, copied to where it may be written: not its permissions, the input is locked."""
    source = part(name)
    if source is None:
        return
    for file in sorted(source.rglob("*")):
        if file.is_file():
            (target / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / file.relative_to(source))


# %%
bundle = mounted("dataset", BUNDLE)
wheels = sorted((part("wheels") or bundle).glob("*.whl"))
if not wheels:
    raise FileNotFoundError(f"{bundle} has no wheels: was it uploaded with its folders (--dir-mode zip)?")
# with dependencies: what is missing ends the kernel here; without an index: nothing that the image has is replaced
install = [sys.executable, "-m", "pip", "install", "--no-index", "--quiet", "--disable-pip-version-check"]
if subprocess.run([*install, "--no-warn-script-location", "--root-user-action=ignore", *map(str, wheels)]).returncode:
    fix = "make a freeze.txt with `pip freeze` in a kernel, then: harness bundle RUN --image freeze.txt"
    raise RuntimeError(f"the wheels do not fit this image; {fix}")
# %%
data = mounted(KIND, REFERENCE) if KIND else by_hand()
run = (WORKING if MODE == "run" else SCRATCH) / "run"
copied("run", run)
for name in ("competitions", "encoder"):
    copied(name, SCRATCH / name)
offline = {"HF_HUB_OFFLINE": "1", "NO_ALBUMENTATIONS_UPDATE": "1", "HARNESS_CACHE": str(SCRATCH / "cache")}


def harness(*commands: list[object]) -> bool:
    """Runs commands one after the other in one process, their words in the kernel's log; whether all ended well."""
    texts = [[str(word) for word in words] for words in commands]
    program = f"from harness.cli import main\nfor words in {texts}: main(words)"
    return subprocess.run([sys.executable, "-c", program], cwd=SCRATCH, env={**os.environ, **offline}).returncode == 0


def answered(place: Path) -> bool:
    """Whether the run answers what lies in a folder, and the validator takes the answer."""
    # a run that has only begun is trained from its first phase on, with the configuration in its config.json
    answer = ["resume" if MODE == "run" else "predict", run, "--data", place]
    return harness(answer, ["validate", COMPETITION, run / "submission.csv", "--data", place])


# %%
# a competition may be mounted with its pictures still in archives; then one more data set has them unpacked
archives = [file.name for file in sorted(data.iterdir()) if file.suffix in (".7z", ".zip", ".tar", ".gz")]
others = beside(BUNDLE, REFERENCE) if archives and KIND else []
if not any(answered(place) for place in [data, *(others if len(others) == 1 else [])]):
    problem = "no answer: see above"
    if archives:
        problem += (
            f". {data} has archives that are not unpacked: {', '.join(archives[:5])}. If rows are missed that lie "
        )
        problem += "in them, add one data set that has them unpacked to the kernel's input, such as what "
        problem += f"`harness download {COMPETITION}` leaves at home"
    raise RuntimeError(problem)
shutil.copyfile(run / "submission.csv", WORKING / "submission.csv")
print(json.dumps({"submission": str(WORKING / "submission.csv"), "run": str(run)}))
