"""What is asked of Kaggle about competitions, each a question of the SDK's own types."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from harness.kaggle.service import Service


def own_rows(service: Service, slug: str) -> list[Any]:
    """The team's submissions on Kaggle, newest first."""
    from kagglesdk.competitions.types.competition_api_service import ApiListSubmissionsRequest

    def page(kaggle: Any, token: str) -> Any:
        request = ApiListSubmissionsRequest()
        request.competition_name, request.page_token = slug, token
        return kaggle.competitions.competition_api_client.list_submissions(request)

    pages = service.listing(page, doing=f"listing submissions to {slug}", rules=slug)
    return [row for answer in pages for row in answer.submissions or []]


def submission(service: Service, ref: int, *, slug: str) -> Any | None:
    """The team's submission of that number; None while it is not there yet."""
    from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionRequest

    def question(kaggle: Any) -> Any:
        from requests import HTTPError

        request = ApiGetSubmissionRequest()
        request.ref = ref
        try:
            return kaggle.competitions.competition_api_client.get_submission(request)
        except HTTPError as error:
            if error.response is not None and error.response.status_code == 404:
                return None  # a new one may be invisible for a moment
            raise

    return service.ask(question, doing=f"looking at submission {ref}", rules=slug)


def create(service: Service, *, slug: str, words: str, token: str = "", kernel: str = "", output: str = "") -> Any:
    """Kaggle's answer to a new submission: of an upload's `token`, or of a `kernel`'s (owner/slug/version) `output`.

    Raises:
        UnclearError: no answer; it is asked once.
    """
    from kagglesdk.competitions.types import competition_api_service as types

    def question(kaggle: Any) -> Any:
        client = kaggle.competitions.competition_api_client
        if not kernel:
            request = types.ApiCreateSubmissionRequest()
            request.competition_name, request.blob_file_tokens, request.submission_description = slug, token, words
            return client.create_submission(request)
        owner, name, version = kernel.split("/")
        code = types.ApiCreateCodeSubmissionRequest()
        code.competition_name, code.kernel_owner, code.kernel_slug = slug, owner, name
        code.kernel_version, code.file_name, code.submission_description = int(version), output, words
        return client.create_code_submission(code)

    return service.ask(question, doing="submitting", rules=slug, once=True)


def limits(service: Service, slug: str) -> Any:
    """Submissions made and left: num_today, num_total, num_allowed_now, limited_by_total."""
    from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionLimitsRequest

    request = ApiGetSubmissionLimitsRequest()
    request.competition_name = slug
    return service.ask(
        lambda kaggle: kaggle.competitions.competition_api_client.get_submission_limits(request),
        doing=f"asking for the submissions left in {slug}",
        rules=slug,
    )


def competition(service: Service, slug: str) -> Any:
    """Facts of a competition: user_has_entered, is_kernels_submissions_only, team_count, evaluation_metric."""
    from kagglesdk.competitions.types.competition_api_service import ApiGetCompetitionRequest

    request = ApiGetCompetitionRequest()
    request.competition_name = slug
    return service.ask(
        lambda kaggle: kaggle.competitions.competition_api_client.get_competition(request),
        doing=f"looking at {slug}",
        rules=slug,
    )


def board(service: Service, slug: str) -> list[Any]:
    """The rows of the leaderboard, best first: team_id, team_name, submission_date, score."""
    from kagglesdk.competitions.types.competition_api_service import ApiGetLeaderboardRequest

    def page(kaggle: Any, token: str) -> Any:
        request = ApiGetLeaderboardRequest()
        request.competition_name, request.page_size, request.page_token = slug, 200, token
        return kaggle.competitions.competition_api_client.get_leaderboard(request)

    pages = service.listing(page, doing=f"reading the leaderboard of {slug}", rules=slug)
    return [row for answer in pages for row in answer.submissions or []]


def quota(service: Service) -> Any:
    """Accelerator hours of this week: gpu_quota, tpu_quota (time_used, total_time_allowed), quota_refresh_time."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetAcceleratorQuotaStatisticsRequest

    return service.ask(
        lambda kaggle: kaggle.kernels.kernels_api_client.get_accelerator_quota_statistics(
            ApiGetAcceleratorQuotaStatisticsRequest()
        ),
        doing="asking for the GPU hours left",
    )


def dataset_version(service: Service, dataset: str) -> int:
    """The number of the newest version of a data set; 0 where there is none."""
    fields = "json(current_version_number)"
    held = there(service, lambda: service.api.dataset_status(dataset, format=fields), f"the data set {dataset}")
    return int(json.loads(held)["current_version_number"] or 0) if held else 0


def kernel_version(service: Service, kernel: str) -> int:
    """The number of the newest version of a kernel; 0 where there is none."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelRequest

    def look() -> Any:
        request = ApiGetKernelRequest()
        request.user_name, request.kernel_slug = kernel.split("/")
        with service.api.build_kaggle_client() as client:
            return client.kernels.kernels_api_client.get_kernel(request)

    held = there(service, look, f"the kernel {kernel}")
    return int(held.metadata.current_version_number or 0) if held and held.metadata else 0


def there(service: Service, look: Callable[[], Any], what: str) -> Any:
    """What a look finds; None where there is no such thing, of which Kaggle says that it is forbidden."""
    from requests import HTTPError

    def question(_: Any) -> Any:
        try:
            return look()
        except HTTPError as error:
            if error.response is not None and error.response.status_code in (403, 404):
                return None
            raise

    return service.ask(question, doing=f"looking at {what}")


def number(text: str | None) -> float | None:
    """A score as Kaggle writes it; None of none."""
    try:
        return float(text) if text else None
    except ValueError:
        return None
