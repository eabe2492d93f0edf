"""The OpenAPI document, and what handlers add to it."""

from http import HTTPStatus

from litestar.openapi.datastructures import ResponseSpec

from cleanmails.api.problems import Problem


def also(*statuses: int) -> dict[int, ResponseSpec]:
    """Statuses that a handler answers beside those that follow from its shape: `responses=also(409)`."""
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=HTTPStatus(status).phrase,
            media_type="application/problem+json",
            generate_examples=False,
        )
        for status in statuses
    }
