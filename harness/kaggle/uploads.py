"""A file on its way to Kaggle: in one piece, or in as many as cuts leave of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.errors import ServiceError
from harness.kaggle.service import Service, time_limit, words_apart


def upload(service: Service, file: Path, *, slug: str) -> str:
    """The token of the uploaded file; an upload that is cut is gone on with, one that expired begun anew.

    Nothing is submitted by it: an upload that no submission names is forgotten by Kaggle.

    Raises:
        ServiceError: Kaggle does not take it.
    """
    from kaggle.api.kaggle_api_extended import ResumableUploadResult as Result
    from kagglesdk.competitions.types.competition_api_service import ApiStartSubmissionUploadRequest

    def begin(kaggle: Any) -> Any:
        request = ApiStartSubmissionUploadRequest()
        request.competition_name, request.file_name = slug, file.name
        request.content_length, request.last_modified_epoch_seconds = file.stat().st_size, int(file.stat().st_mtime)
        return kaggle.competitions.competition_api_client.start_submission_upload(request)

    begun, outcome = None, None
    for attempt in range(service.manners.tries):
        if attempt:
            service.manners.sleep(service.manners.wait * 2 ** (attempt - 1))
        goes_on = begun is not None and outcome == Result.INCOMPLETE
        if not goes_on:
            begun = service.ask(begin, doing=f"uploading {file.name}", rules=slug)
        assert begun is not None, "asked for above"
        with words_apart(), time_limit(service.manners.timeout):
            outcome = service.api.upload_complete(str(file), begun.create_url, True, resume=goes_on)
        if outcome == Result.COMPLETE:
            return begun.token
    raise ServiceError("Kaggle does not take the upload", file=file, fix="check the connection, and run it again")
