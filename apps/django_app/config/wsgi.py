"""What gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from . import env

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

if env.TIMINGS:
    from timings.wsgi import Timings

    application = Timings(application, env.TIMINGS)
