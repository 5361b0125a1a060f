"""What Kaggle has to download: the files of a competition or a data set, and the requests that fetch them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.kaggle.pages import Page
from harness.kaggle.service import Service

MOST = 200  # rows a page that are asked for; Kaggle may give 20


@dataclass(frozen=True)
class File:
    """A file on Kaggle: its name with folders, and its bytes."""

    name: str
    bytes: int


def rules_of(page: Page) -> str:
    """The competition whose rules a refusal may be about; empty of a data set."""
    return page.ref if page.kind == "competition" else ""


def listed(service: Service, page: Page) -> list[File]:
    """All files, of all pages of the list."""
    from kagglesdk.competitions.types.competition_api_service import ApiListDataFilesRequest
    from kagglesdk.datasets.types.dataset_api_service import ApiListDatasetFilesRequest

    def competition(kaggle: Any, token: str) -> Any:
        request = ApiListDataFilesRequest()
        request.competition_name, request.page_size, request.page_token = page.ref, MOST, token
        return kaggle.competitions.competition_api_client.list_data_files(request)

    def dataset(kaggle: Any, token: str) -> Any:
        request = ApiListDatasetFilesRequest()
        request.owner_slug, request.dataset_slug = page.ref.split("/")
        request.page_size, request.page_token = MOST, token
        return kaggle.datasets.dataset_api_client.list_dataset_files(request)

    question, rows = (competition, "files") if page.kind == "competition" else (dataset, "dataset_files")
    answers = service.listing(question, doing=f"listing the files of {page.ref}", rules=rules_of(page))
    return [File(row.name, int(row.total_bytes or 0)) for answer in answers for row in getattr(answer, rows) or []]


def sender(page: Page, name: str = "") -> Callable[[Any], Any]:
    """The question (of a signed-in client) whose answer is the stream of a file, or of the zip of all."""
    from kagglesdk.competitions.types import competition_api_service as competitions
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

    def send(kaggle: Any) -> Any:
        if page.kind == "dataset":
            request = ApiDownloadDatasetRequest()
            request.owner_slug, request.dataset_slug = page.ref.split("/")
            if name:
                request.file_name = name
            return kaggle.datasets.dataset_api_client.download_dataset(request)
        client = kaggle.competitions.competition_api_client
        if not name:
            whole = competitions.ApiDownloadDataFilesRequest()
            whole.competition_name = page.ref
            return client.download_data_files(whole)
        single = competitions.ApiDownloadDataFileRequest()
        single.competition_name, single.file_name = page.ref, name
        return client.download_data_file(single)

    return send
