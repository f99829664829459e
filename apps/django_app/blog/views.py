"""The routes of the contract."""

import os
import time

from django.conf import settings
from django.db import transaction
from django.db.models import Aggregate, Avg, CharField, Count, F, Func, Max, Min
from django.db.models.functions import Length
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import View

from .errors import Invalid
from .models import Post, User
from .serializers import post_json, summary_json, user_json
from .validation import MAX_ID, parse_number, parse_post


class Month(Func):
    """The month of a time, as in 2024-02."""

    template = "TO_CHAR(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM')"
    output_field = CharField()


class Mode(Aggregate):
    """The most frequent value, the lowest of them if there are several."""

    template = "MODE() WITHIN GROUP (ORDER BY %(expressions)s)"


class ApiView(View):
    """A view whose errors are JSON."""

    def dispatch(self, request: HttpRequest, *args, **kwargs) -> HttpResponse:
        """Answers 422 when the request is invalid."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except Invalid as exc:
            return JsonResponse({"detail": str(exc)}, status=422)

    def http_method_not_allowed(self, request: HttpRequest, *args, **kwargs) -> HttpResponse:
        """Answers 405."""
        allow = ", ".join(self._allowed_methods())
        return JsonResponse({"detail": "Method Not Allowed"}, status=405, headers={"Allow": allow})


class Healthz(ApiView):
    """Says which app and which of its workers this is; the nonce tells one start from another."""

    def get(self, _request: HttpRequest) -> JsonResponse:
        """Does not touch the database."""
        return JsonResponse(
            {"status": "ok", "app": "django", "nonce": settings.NONCE, "worker": os.getpid()}
        )


class Ping(ApiView):
    """The least that the framework can do: its own ceiling."""

    def get(self, _request: HttpRequest) -> JsonResponse:
        """Does not touch the database."""
        return JsonResponse({"ping": "pong"})


class DataView(ApiView):
    """A view that asks the database: one transaction with a wait in it, if one is asked for."""

    def dispatch(self, request: HttpRequest, *args, **kwargs) -> HttpResponse:
        """Waits for something else when the statements are done."""
        if settings.HOLD_S == 0:
            return super().dispatch(request, *args, **kwargs)
        with transaction.atomic():
            response = super().dispatch(request, *args, **kwargs)
            if response.status_code not in (405, 422):  # refused without a statement
                time.sleep(settings.HOLD_S)
            return response


class UserDetail(DataView):
    """One user by id."""

    def get(self, _request: HttpRequest, user_id: str) -> JsonResponse:
        """The user."""
        try:
            user = User.objects.get(pk=parse_number(user_id, "id", MAX_ID))
        except User.DoesNotExist:
            raise Http404("User not found") from None
        return JsonResponse(user_json(user))


class UserSummary(DataView):
    """Figures over all posts of one user."""

    def get(self, _request: HttpRequest, user_id: str) -> JsonResponse:
        """One statement; its outer join finds users without posts too."""
        summaries = User.objects.values("id", "username").annotate(
            post_count=Count("posts"),
            average_body_length=Avg(Length("posts__body")),
            first_post_at=Min("posts__created_at"),
            last_post_at=Max("posts__created_at"),
            busiest_month=Mode(Month(F("posts__created_at"))),
        )
        try:
            summary = summaries.get(pk=parse_number(user_id, "id", MAX_ID))
        except User.DoesNotExist:
            raise Http404("User not found") from None
        return JsonResponse(summary_json(summary))


class PostList(DataView):
    """The newest posts, and new ones."""

    def get(self, request: HttpRequest) -> JsonResponse:
        """The newest posts first, each with its author."""
        limit = parse_number(request.GET.get("limit", "20"), "limit", 100)
        newest = Post.objects.select_related("author").order_by("-created_at", "-id")[:limit]
        # A list at the top level is what the contract asks for.
        return JsonResponse([post_json(post) for post in newest], safe=False)

    def post(self, request: HttpRequest) -> JsonResponse:
        """Creates a post of an author who exists."""
        author_id, title, body = parse_post(request)
        try:
            author = User.objects.get(pk=author_id)
        except User.DoesNotExist:
            raise Http404("Author not found") from None
        post = Post.objects.create(author=author, title=title, body=body)
        return JsonResponse(post_json(post), status=201)


class PostDetail(DataView):
    """One post by id."""

    def get(self, _request: HttpRequest, post_id: str) -> JsonResponse:
        """The post with its author."""
        try:
            post = Post.objects.select_related("author").get(pk=parse_number(post_id, "id", MAX_ID))
        except Post.DoesNotExist:
            raise Http404("Post not found") from None
        return JsonResponse(post_json(post))
