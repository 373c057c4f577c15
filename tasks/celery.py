"""Found by ``celery -A tasks``; nothing imports it."""

from orchestrator import log, settings

from .app import make_app

_settings = settings.load()
log.configure(_settings.log_level, _settings.log_format)

app = make_app(_settings)
