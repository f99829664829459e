"""Routes; ids are checked in the views, as a wrong one is 422 and not an unknown route."""

from django.urls import path

from . import views

urlpatterns = [
    path("healthz", views.Healthz.as_view()),
    path("ping", views.Ping.as_view()),
    path("users/<user_id>", views.UserDetail.as_view()),
    path("users/<user_id>/summary", views.UserSummary.as_view()),
    path("posts", views.PostList.as_view()),
    path("posts/<post_id>", views.PostDetail.as_view()),
]
