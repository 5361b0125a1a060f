"""The commands around submissions, as a user types them, on a real run and the tests' own Kaggle."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.kaggle import pushing
from harness.submission import ledger
from tests.kaggle import world
from tests.kaggle.conftest import NAME, Given
from tests.kaggle.server import Fault


def test_a_run_is_submitted_with_what_it_scored_and_a_second_time_refused(
    run: tuple[str, str], said: Any, kaggle: Given
) -> None:
    name, data = run
    code, out, _ = said("submit", name, "-m", "first", "--data", data, "--wait", "--json")
    entry, scores = json.loads(out), json.loads(Path(f"submissions/{NAME}/first/scores.json").read_text())
    assert code == 0
    assert (entry["state"], entry["ref"], entry["public"]) == ("complete", 1000, 540.5)
    assert entry["cv"] == scores["score"]["value"]
    assert entry["folds_hash"] == scores["folds_hash"]
    assert entry["sha256"]
    assert entry["commit"]
    assert kaggle.kaggle.contests[NAME].submissions[0].description.startswith("first [harness ")
    code, out, err = said("submit", name, "-m", "again", "--data", data)
    assert (code, out) == (2, "")
    assert "was sent already: submission 1000 (complete, public score 540.5)" in err
    assert len(kaggle.kaggle.contests[NAME].submissions) == 1


def test_without_wait_a_submission_is_sent_and_its_score_comes_with_the_next_call(
    run: tuple[str, str], said: Any, kaggle: Given
) -> None:
    kaggle.kaggle.contests[NAME].looks = 3
    code, out, _ = said("submit", run[0], "-m", "first", "--data", run[1])
    assert (code, out.split(",")[0]) == (0, "submission 1000: sent")
    code, out, _ = said("submit", run[0], "-m", "first", "--data", run[1], "--wait", "--limit", "10s")
    assert (code, out.split(",")[:2]) == (0, ["submission 1000: complete", " public 540.5"])


def test_what_a_grader_would_refuse_is_not_sent(run: tuple[str, str], said: Any, kaggle: Given) -> None:
    path = Path(f"submissions/{NAME}/first/submission.csv")
    path.write_text(path.read_text().replace("id,", "Id,", 1))
    code, _, err = said("submit", run[0], "-m", "first", "--data", run[1])
    assert code == 2
    assert "is not valid" in err
    assert kaggle.kaggle.calls == []
    assert not ledger.PATH.exists()


def test_sample_runs_unfinished_ones_and_other_competitions_are_refused(
    run: tuple[str, str], said: Any, kaggle: Given
) -> None:
    folder = Path(f"submissions/{NAME}/first")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "request": {**settings["request"], "sample": True}}))
    assert "answers drawn sample data" in said("submit", run[0], "-m", "x")[2]
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "scores.json").rename("scores.json")
    assert "harness resume" in said("submit", run[0], "-m", "x")[2]
    Path("other.csv").write_text("id,price\n")
    assert "say which competition it is for: -c NAME" in said("submit", "other.csv", "-m", "x")[2]
    assert "has no leaderboard on Kaggle" in said("submit", "other.csv", "-m", "x", "-c", "camvid")[2]
    assert said("submit", "other.csv", "-m", "x", "-c", "camvid")[0] == 2
    assert kaggle.kaggle.calls == []


def test_a_csv_of_one_s_own_is_submitted_for_the_competition_that_is_named(
    run: tuple[str, str], said: Any, kaggle: Given
) -> None:
    shutil.copy(f"submissions/{NAME}/first/submission.csv", "mine.csv")
    code, out, _ = said("submit", "mine.csv", "-c", "playground", "-m", "mine", "--data", run[1], "--wait", "--json")
    assert (code, json.loads(out)["cv"], json.loads(out)["state"]) == (0, None, "complete")


def test_a_code_competition_takes_the_kernel_that_was_pushed(run: tuple[str, str], said: Any, kaggle: Given) -> None:
    kaggle.kaggle.contests[NAME].code_only = True
    code, _, err = said("submit", run[0], "-m", "first", "--data", run[1])
    assert code == 2
    assert "takes kernels only" in err
    kernel = world.Kernel([{}], {"submission.csv": b"id,price\n"}, 0)
    kaggle.kaggle.kernels["bob/toy-kernel"] = kernel
    bundle = Path(f"submissions/{NAME}/first/bundle")
    bundle.mkdir()
    pushed = {"kernel": "bob/toy-kernel", "version": 1, "dataset": "bob/toy", "state": "complete", "submission": ""}
    (bundle / "pushed.json").write_text(json.dumps({**pushed, "content": "of another bundle"}))
    assert "takes kernels only" in said("submit", run[0], "-m", "first", "--data", run[1])[2]
    (bundle / "pushed.json").write_text(json.dumps({**pushed, "content": pushing.content_of(bundle)}))
    code, out, _ = said("submit", run[0], "-m", "first", "--data", run[1], "--wait", "--json")
    assert (code, json.loads(out)["kernel"], json.loads(out)["public"]) == (0, "bob/toy-kernel/1", 540.5)
    assert "kernel" in said("submit", run[0], "-m", "x", "--kernel", "bob/toy-kernel")[2]
    for spelled in ("bob/toy-kernel/01", "Bob/Toy-Kernel/1"):
        code, _, err = said("submit", run[0], "-m", "x", "--kernel", spelled)
        assert (code, "was sent already" in err) == (2, True), spelled
    kernel.pushed.append({})
    assert said("submit", run[0], "-m", "x", "--kernel", "bob/toy-kernel/2")[0] == 0, "another version is another"


def test_a_kernel_that_did_not_end_well_is_not_submitted(run: tuple[str, str], said: Any, kaggle: Given) -> None:
    kaggle.kaggle.contests[NAME].code_only = True
    bundle = Path(f"submissions/{NAME}/first/bundle")
    bundle.mkdir()
    for state in ("queued", "failed"):
        pushed = {"kernel": "bob/k", "version": 1, "dataset": "bob/toy", "state": state, "submission": ""}
        (bundle / "pushed.json").write_text(json.dumps({**pushed, "content": pushing.content_of(bundle)}))
        code, _, err = said("submit", run[0], "-m", "first", "--data", run[1])
        assert (code, "takes kernels only" in err) == (2, True)
    assert kaggle.kaggle.contests[NAME].submissions == []


def test_a_file_that_changes_after_it_was_validated_is_not_sent(
    run: tuple[str, str], said: Any, kaggle: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = world.Kaggle.GetCompetition

    def changing(self: world.Kaggle, request: dict[str, Any]) -> Any:
        Path(f"submissions/{NAME}/first/submission.csv").write_text("id,price\n")
        return seen(self, request)

    monkeypatch.setattr(world.Kaggle, "GetCompetition", changing)
    code, _, err = said("submit", run[0], "-m", "first", "--data", run[1])
    assert (code, "changed since it was validated" in err) == (2, True)
    assert kaggle.kaggle.contests[NAME].submissions == []


def test_the_leaderboard_shows_own_rows_and_medals_and_refreshes_the_ledger(
    run: tuple[str, str], said: Any, kaggle: Given
) -> None:
    said("submit", run[0], "-m", "first", "--data", run[1], "--wait")
    kaggle.kaggle.contests[NAME].scored = lambda content: ("540.5", "551.25")
    code, out, _ = said("leaderboard", "playground", "--top", "2")
    assert code == 0
    assert out.splitlines()[:3] == [f"{NAME}: 121 teams", "rank  score  team", "1     500    team 0"]
    assert "42    540.5  bob's team  you" in out
    assert "gold to rank 10 (509), silver to rank 24 (523), bronze to rank 48 (546)" in out
    code, out, _ = said("ledger", "--json")
    entry = json.loads(out)["competitions"][0]["submissions"][0]
    assert (entry["rank"], entry["medal"], entry["private"]) == (42, "bronze", 551.25)


def test_medals_go_by_all_teams_also_where_the_board_is_listed_in_part(
    run: tuple[str, str], said: Any, kaggle: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = world.Kaggle.GetCompetition
    monkeypatch.setattr(
        world.Kaggle, "GetCompetition", lambda self, request: {**seen(self, request), "teamCount": 2000}
    )
    board = json.loads(said("leaderboard", NAME, "--json")[1])
    assert (board["teams"], board["medals"]["silver"]["rank"]) == (2000, 100)
    assert "bronze" not in board["medals"], "its line is not among the rows"


def test_the_ledger_shows_runs_that_were_never_sent_and_says_whether_to_trust_cv(
    run: tuple[str, str], said: Any, kaggle: Given
) -> None:
    code, out, _ = said("ledger", NAME)
    assert code == 0
    assert "never sent" in out
    assert out.splitlines()[-1].startswith("do not trust CV yet, because only 0 submissions have")
    said("submit", run[0], "-m", "first", "--data", run[1], "--wait")
    code, out, _ = said("ledger")
    assert "never sent" not in out
    assert "complete" in out
    assert kaggle.kaggle.calls.count("ListSubmissions") == 1, "the ledger asks nobody"


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (Fault("GetCompetition", code=401, message="no"), 2, "does not take the credential"),
        (Fault("GetCompetition", code=500, times=9), 3, "no way to Kaggle"),
        (Fault("CreateSubmission", "silent", seconds=1.0), 3, "did not reach Kaggle"),
        (Fault("GetSubmissionLimits", code=429, headers={"Retry-After": "999"}), 3, "left alone for 999 s"),
    ],
)
def test_exit_codes_are_for_scripts(
    run: tuple[str, str], said: Any, kaggle: Given, fault: Fault, code: int, words: str
) -> None:
    kaggle.faults.append(dataclasses.replace(fault))
    found, out, err = said("submit", run[0], "-m", "first", "--data", run[1], "--json")
    assert found == code
    assert words in err
    assert json.loads(out)["exit_code"] == code


def test_without_the_client_the_extra_is_named(
    run: tuple[str, str], said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] == "kaggle"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kaggle", None)
    code, _, err = said("leaderboard", NAME)
    assert code == 2
    assert "pip install 'harness[kaggle]'" in err


def test_the_tests_point_the_real_client_by_one_private_name() -> None:
    from kagglesdk import kaggle_env

    table = kaggle_env._env_to_endpoint
    assert table[kaggle_env.KaggleEnv.PROD] == "https://api.kaggle.com", (
        "kagglesdk keeps its addresses elsewhere now: tests/kaggle/conftest.py (pointed_at) must follow"
    )
    assert kaggle_env.get_endpoint(kaggle_env.KaggleEnv.PROD) == table[kaggle_env.KaggleEnv.PROD]
