"""Heat's API, served by waitress.

python heat_api.py --config-file heat.conf --port 8004 --access-log FILE
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
    sys.argv = ["heat-api", "--config-file", str(options.config_file)]

    from oslo_service import backend

    backend.init_backend(backend.BackendType.THREADING)

    from heat.api.openstack import wsgi

    application = logged(wsgi.init_application(), options.access_log)
    waitress.serve(application, host="127.0.0.1", port=options.port, threads=8)


if __name__ == "__main__":
    main()
