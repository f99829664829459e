"""Every error as ``{"detail": "..."}`` with the texts of the contract."""

from django.http import HttpRequest, JsonResponse
from django.urls import Resolver404


class Invalid(ValueError):
    """The request breaks a rule of the contract; the message says which."""


def bad_request(_request: HttpRequest, _exception: Exception) -> JsonResponse:
    """What Django itself refuses, such as a body above its size limit."""
    return JsonResponse({"detail": "Bad Request"}, status=400)


def not_found(_request: HttpRequest, exception: Exception) -> JsonResponse:
    """An unknown route, or an object that a view did not find."""
    unknown_route = isinstance(exception, Resolver404)
    return JsonResponse({"detail": "Not Found" if unknown_route else str(exception)}, status=404)


def server_error(_request: HttpRequest) -> JsonResponse:
    """A mistake of ours or of the database; Django logs the reason."""
    return JsonResponse({"detail": "Internal Server Error"}, status=500)
