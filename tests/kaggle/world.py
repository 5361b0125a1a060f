"""What the tests' Kaggle holds and does: one method for each call of the API, named as the client names it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

PAGE = 20


class Refused(Exception):
    """A call that Kaggle does not do."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Redirect:
    """An answer that is a file elsewhere."""

    path: str


@dataclass
class Blob:
    """An upload, perhaps unfinished."""

    name: str
    length: int
    content: bytes = b""


@dataclass
class Submission:
    """One submission; it is scored after `looks` looks at it, and listed after `hidden` listings."""

    ref: int
    content: bytes
    description: str
    date: float
    looks: int
    hidden: int
    file_name: str = "submission.csv"


@dataclass
class Contest:
    """A competition.

    Attributes:
        scored: content of a submission -> (public score, private score), or the reason why it has none.
        daily: submissions a day.
        total: in all; None without such a limit.
        looks: at a submission until it is scored.
        hidden: listings until a submission is seen in them.
        uncounted: of the newest submissions, that Kaggle does not count yet.
        more: submissions that are counted and never listed.
        team: whether the user is on one.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    accepted: bool = True
    scored: Callable[[bytes], tuple[str, str] | str] = lambda content: ("0.5", "")
    daily: int = 5
    total: int | None = None
    looks: int = 1
    hidden: int = 0
    uncounted: int = 0
    more: int = 0
    team: bool = True
    code_only: bool = False
    submissions: list[Submission] = field(default_factory=list)
    board: list[tuple[str, str]] = field(default_factory=list)  # (team, score), best first
    evaluation: str = "AUC"


@dataclass
class Dataset:
    """A data set: its versions, and the looks until the newest is ready."""

    versions: list[dict[str, bytes]]
    looks: int
    request: dict[str, Any]


@dataclass
class Kernel:
    """A kernel: what was pushed, what it will do, and looks until it has."""

    pushed: list[dict[str, Any]]
    output: dict[str, bytes]
    looks: int
    ends: str = "COMPLETE"
    log: str = ""
    failure: str = ""


@dataclass
class Kaggle:
    """All of it.

    Attributes:
        ranges: whether parts of files are sent; else a whole one answers a question for a part.
        file_headers: of every file, in place of what they would say.
        gone_on: (first byte, bytes) of every part of a file that was sent.
    """

    user: str = "bob"
    key: str = "k3y"
    token: str = "t0k3n"
    skew: float = 0.0
    contests: dict[str, Contest] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    kernels: dict[str, Kernel] = field(default_factory=dict)
    blobs: dict[str, Blob] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    processing: int = 1
    ranges: bool = True
    file_headers: dict[str, str] = field(default_factory=dict)
    gone_on: list[tuple[int, int]] = field(default_factory=list)
    kernel: Callable[[dict[str, Any]], Kernel] = lambda pushed: Kernel([], {}, 1)

    def now(self) -> float:
        """Seconds since 1970, by Kaggle's clock."""
        return time.time() + self.skew

    def _contest(self, request: dict[str, Any]) -> Contest:
        contest = self.contests.get(request.get("competitionName", ""))
        if contest is None:
            raise Refused(404, "Competition not found")
        return contest

    def _entered(self, request: dict[str, Any]) -> Contest:
        contest = self._contest(request)
        if not contest.accepted:
            raise Refused(403, "You must accept this competition's rules before you can continue")
        return contest

    def file(self, path: str) -> bytes | None:
        """The content behind a redirect, or an output file."""
        kind, owner, name = path.split("/", 2)
        if kind == "c":
            return self.contests[owner].files.get(name)
        if kind == "d":
            return self.datasets[owner.replace("~", "/")].versions[-1].get(name)
        return self.kernels[owner.replace("~", "/")].output.get(name)

    def IntrospectToken(self, request: dict[str, Any]) -> Any:
        good = request["token"] == self.token
        return {"active": good, "username": self.user if good else ""}

    def GetCompetition(self, request: dict[str, Any]) -> Any:
        contest = self._contest(request)
        facts = {"ref": request["competitionName"], "userHasEntered": contest.accepted}
        facts |= {"maxDailySubmissions": contest.daily, "isKernelsSubmissionsOnly": contest.code_only}
        return {**facts, "evaluationMetric": contest.evaluation, "teamCount": len(contest.board)}

    def ListDataFiles(self, request: dict[str, Any]) -> Any:
        contest = self._entered(request)
        rows = [
            {"name": name, "totalBytes": len(content), "creationDate": _moment(1767225600)}
            for name, content in contest.files.items()
            if name != f"{request['competitionName']}.zip"
        ]
        return _page(rows, "files", request)

    def DownloadDataFiles(self, request: dict[str, Any]) -> Any:
        self._entered(request)
        return Redirect(f"/files/c/{request['competitionName']}/{request['competitionName']}.zip")

    def DownloadDataFile(self, request: dict[str, Any]) -> Any:
        contest = self._entered(request)
        if request["fileName"] not in contest.files:
            raise Refused(404, "no such file")
        return Redirect(f"/files/c/{request['competitionName']}/{request['fileName']}")

    def StartSubmissionUpload(self, request: dict[str, Any]) -> Any:
        self._entered(request)
        return self._blob(request["fileName"], request["contentLength"])

    def StartBlobUpload(self, request: dict[str, Any]) -> Any:
        return self._blob(request["name"], request["contentLength"])

    def _blob(self, name: str, length: int) -> Any:
        token = secrets.token_hex(8)
        self.blobs[token] = Blob(name, int(length))
        return {"token": token, "createUrl": f"{{place}}/upload/{token}"}

    def CreateSubmission(self, request: dict[str, Any]) -> Any:
        contest, blob = self._entered(request), self.blobs[request["blobFileTokens"]]
        if contest.code_only:
            raise Refused(400, "This competition only accepts submissions from notebooks")
        if len(blob.content) != blob.length:
            raise Refused(400, "the upload is not complete")
        return self._submit(contest, blob.content, request, blob.name)

    def CreateCodeSubmission(self, request: dict[str, Any]) -> Any:
        kernel = self.kernels.get(f"{request['kernelOwner']}/{request['kernelSlug']}")
        if kernel is None or request["fileName"] not in kernel.output:
            raise Refused(404, "no such output")
        return self._submit(self._entered(request), kernel.output[request["fileName"]], request, request["fileName"])

    def _submit(self, contest: Contest, content: bytes, request: dict[str, Any], name: str) -> Any:
        if not self._allowed(contest):
            raise Refused(400, "You have used all your submissions for today")
        ref = 1000 + sum(len(each.submissions) for each in self.contests.values())
        words = request.get("submissionDescription", "")
        contest.submissions.append(
            Submission(ref, content, words, self.now(), contest.looks, contest.hidden, file_name=name)
        )
        return {"message": "Successfully submitted", "ref": ref}

    def _allowed(self, contest: Contest) -> int:
        day = datetime.fromtimestamp(self.now(), UTC).date()
        today = sum(datetime.fromtimestamp(each.date, UTC).date() == day for each in contest.submissions)
        left = contest.daily - today
        return max(0, left if contest.total is None else min(left, contest.total - len(contest.submissions)))

    def GetSubmissionLimits(self, request: dict[str, Any]) -> Any:
        contest = self._entered(request)
        if not contest.team:  # all zero, whoever is on no team yet
            return {"numToday": 0, "numTotal": 0, "numAllowedNow": 0, "limitedByTotal": False}
        valid = [each for each in contest.submissions if not isinstance(contest.scored(each.content), str)]
        counted = valid[: len(valid) - contest.uncounted] if contest.uncounted else valid
        limited = contest.total is not None and contest.total <= len(contest.submissions)
        day = datetime.fromtimestamp(self.now(), UTC).date()
        today = sum(datetime.fromtimestamp(each.date, UTC).date() == day for each in contest.submissions)
        facts = {"numToday": today, "numTotal": contest.more + len(counted)}
        return {**facts, "numAllowedNow": self._allowed(contest), "limitedByTotal": limited}

    def ListSubmissions(self, request: dict[str, Any]) -> Any:
        contest, seen = self._entered(request), []
        for each in reversed(contest.submissions):
            if each.hidden:
                each.hidden -= 1
            else:
                seen.append(self._shown(contest, each))
        return _page(seen, "submissions", request)

    def GetSubmission(self, request: dict[str, Any]) -> Any:
        for contest in self.contests.values():
            for each in contest.submissions:
                if each.ref == request["ref"]:
                    each.looks = max(0, each.looks - 1)
                    return self._shown(contest, each)
        raise Refused(404, "no such submission")

    def _shown(self, contest: Contest, each: Submission) -> dict[str, Any]:
        facts: dict[str, Any] = {"ref": each.ref, "description": each.description, "fileName": each.file_name}
        facts |= {"date": _moment(each.date), "teamName": f"{self.user}'s team", "status": "PENDING"}
        if each.looks:
            return facts
        scored = contest.scored(each.content)
        if isinstance(scored, str):
            return {**facts, "status": "ERROR", "errorDescription": scored}
        return {**facts, "status": "COMPLETE", "publicScore": scored[0], "privateScore": scored[1]}

    def GetLeaderboard(self, request: dict[str, Any]) -> Any:
        board = self._contest(request).board
        rows = [
            {"teamId": number, "teamName": team, "submissionDate": _moment(self.now()), "score": score}
            for number, (team, score) in enumerate(board)
        ]
        return _page(rows, "submissions", request)

    def GetAcceleratorQuotaStatistics(self, request: dict[str, Any]) -> Any:
        quota = {"timeUsed": "36000s", "totalTimeAllowed": "108000s"}
        return {"quotaRefreshTime": _moment(self.now() + 86400), "gpuQuota": quota, "tpuQuota": quota}

    def GetDatasetStatus(self, request: dict[str, Any]) -> Any:
        dataset = self._dataset(request)
        dataset.looks = max(0, dataset.looks - 1)
        return {"status": "BLOBS_RECEIVED" if dataset.looks else "READY"}

    def _dataset(self, request: dict[str, Any]) -> Dataset:
        dataset = self.datasets.get(f"{request['ownerSlug']}/{request['datasetSlug']}")
        if dataset is None:
            raise Refused(403, "Permission 'datasets.get' was denied")
        return dataset

    def GetDataset(self, request: dict[str, Any]) -> Any:
        return {"currentVersionNumber": len(self._dataset(request).versions)}

    def GetKernel(self, request: dict[str, Any]) -> Any:
        return {"metadata": {"currentVersionNumber": len(self._kernel(request).pushed)}}

    def CreateDataset(self, request: dict[str, Any]) -> Any:
        content = {self.blobs[each["token"]].name: self.blobs[each["token"]].content for each in request["files"]}
        if f"{request['ownerSlug']}/{request['slug']}" in self.datasets:
            return {"status": "error", "error": "the slug is already in use by a dataset"}
        self.datasets[f"{request['ownerSlug']}/{request['slug']}"] = Dataset([content], self.processing, request)
        return {"ref": f"/datasets/{request['ownerSlug']}/{request['slug']}", "status": "Ok"}

    def CreateDatasetVersion(self, request: dict[str, Any]) -> Any:
        dataset, body = self._dataset(request), request["body"]
        if dataset.looks:
            raise Refused(403, "the version before is still processed")
        files = {self.blobs[each["token"]].name: self.blobs[each["token"]].content for each in body["files"]}
        dataset.versions.append(files)
        dataset.looks = self.processing
        return {"ref": f"/datasets/{request['ownerSlug']}/{request['datasetSlug']}", "status": "Ok"}

    def ListDatasetFiles(self, request: dict[str, Any]) -> Any:
        newest = self._dataset(request).versions[-1]
        whole = f"{request['datasetSlug']}.zip"
        rows = [{"name": name, "totalBytes": len(content)} for name, content in newest.items() if name != whole]
        return _page(rows, "datasetFiles", request)

    def DownloadDataset(self, request: dict[str, Any]) -> Any:
        self._dataset(request)
        name = request.get("fileName") or f"{request['datasetSlug']}.zip"
        return Redirect(f"/files/d/{request['ownerSlug']}~{request['datasetSlug']}/{name}")

    def SaveKernel(self, request: dict[str, Any]) -> Any:
        kernel = self.kernels.get(request["slug"])
        fresh = self.kernel(request)
        fresh.pushed = [*(kernel.pushed if kernel else []), request]
        self.kernels[request["slug"]] = fresh
        facts = {"ref": f"/code/{request['slug']}", "url": f"https://www.kaggle.com/code/{request['slug']}"}
        return {**facts, "versionNumber": len(fresh.pushed)}

    def _kernel(self, request: dict[str, Any]) -> Kernel:
        kernel = self.kernels.get(f"{request['userName']}/{request['kernelSlug']}")
        if kernel is None:
            raise Refused(404, "no such kernel")
        return kernel

    def GetKernelSessionStatus(self, request: dict[str, Any]) -> Any:
        kernel = self._kernel(request)
        kernel.looks = max(0, kernel.looks - 1)
        if kernel.looks:
            return {"status": "RUNNING"}
        return {"status": kernel.ends, "failureMessage": kernel.failure}

    def ListKernelSessionOutput(self, request: dict[str, Any]) -> Any:
        kernel = self._kernel(request)
        place = f"{{place}}/files/k/{request['userName']}~{request['kernelSlug']}"
        rows = [{"fileName": name, "url": f"{place}/{name}"} for name in kernel.output]
        return {**_page(rows, "files", request), "log": kernel.log}


def _moment(seconds: float) -> str:
    """A date as Kaggle writes it."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _page(rows: list[Any], name: str, request: dict[str, Any]) -> dict[str, Any]:
    """Twenty rows and the token of the next; the client's wish for more a page is not heard."""
    start = int(request.get("pageToken") or 0)
    more = start + PAGE < len(rows)
    return {name: rows[start : start + PAGE], "nextPageToken": str(start + PAGE) if more else ""}
