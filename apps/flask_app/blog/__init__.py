"""The blog of apps/CONTRACT.md in Flask, with SQLAlchemy on psycopg 3."""

from flask import Flask

from . import db, delay, errors, views
from .config import Config


def create_app() -> Flask:
    """The application; gunicorn calls this in each worker."""
    app = Flask(__name__, static_folder=None)
    # A doubled slash is an unknown route, as in the other apps, and not a redirect.
    app.url_map.merge_slashes = False
    app.config.from_object(Config)
    db.init_app(app)
    errors.init_app(app)
    delay.init_app(app)
    app.register_blueprint(views.bp)
    if app.config["TIMINGS"]:
        from timings.wsgi import Timings

        app.wsgi_app = Timings(app.wsgi_app, app.config["TIMINGS"])
    return app
