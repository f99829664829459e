"""The tables of data/schema.sql, which is why Django does not manage them."""

from django.db import models
from django.utils import timezone


class User(models.Model):
    """Someone who writes posts."""

    id = models.AutoField(primary_key=True)
    username = models.CharField(max_length=50, unique=True)
    full_name = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "users"


class Post(models.Model):
    """A post and its author."""

    id = models.AutoField(primary_key=True)
    author = models.ForeignKey(User, on_delete=models.DO_NOTHING, related_name="posts")
    title = models.CharField(max_length=200)
    body = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        managed = False
        db_table = "posts"
