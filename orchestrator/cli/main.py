import signal, sys, threading
from .. import log, settings
from ..bridge import service
def main():
    s = settings.load(); log.configure(s.log_level, s.log_format)
    stop = threading.Event()
    for n in (signal.SIGTERM, signal.SIGINT): signal.signal(n, lambda *_: stop.set())
    service.run(s, stop)
