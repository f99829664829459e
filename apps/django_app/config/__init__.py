"""The project around the blog of apps/CONTRACT.md in Django, on psycopg 3."""
