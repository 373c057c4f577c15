"""Found by ``celery -A tasks``; nothing imports it."""

import os

from orchestrator import log, settings
from orchestrator.errors import SettingsError
from orchestrator.settings import environment

from .app import make_app

try:
    _loaded = settings.read(os.environ)
except SettingsError as error:
    # Celery would print a traceback of its command line around the sentences.
    log.tell_refused(error)
    raise SystemExit(2) from None

log.configure(_loaded.settings.log_level, _loaded.settings.log_format)
environment.export(_loaded.others, os.environ)

app = make_app(_loaded.settings)
