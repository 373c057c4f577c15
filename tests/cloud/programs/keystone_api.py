"""Keystone's API, served by waitress with one thread: one request at a time, as on a busy cloud.

python keystone_api.py --config-file keystone.conf --port 5000 --access-log FILE
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import waitress
from access_log import logged


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config-file", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--access-log", type=Path, required=True)
    options = parser.parse_args()
    sys.argv = ["keystone", "--config-file", str(options.config_file)]

    from keystone.server import wsgi

    application = logged(wsgi.initialize_public_application(), options.access_log)
    waitress.serve(application, host="127.0.0.1", port=options.port, threads=1)


if __name__ == "__main__":
    main()
