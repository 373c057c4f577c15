"""A real Heat, API and engine in one process, that needs nothing else running.

    python -m orchestrator.sandbox.heat_server --port 8004 --data DIR

The RPC between the API and the engine is oslo.messaging's in-memory transport, the database is
SQLite, and there is no Keystone: whoever asks is let in, and the project is the one in the URL
(`/v1/<project>/…`), so that tenants are kept apart exactly as by the URL of a real Heat.
Resource types that need a cloud are replaced by simulated ones (`orchestrator.sandbox.simulation`).
Everything below `DIR` survives a restart.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: Interval, in seconds, of the polls of Heat's engine for resources in progress.
# Heat's own is one second, which makes a chain : of ten resources take ten seconds even when
# nothing has to be waited for.
POLL = float(os.environ.get("SANDBOX_HEAT_POLL", "0.1"))

# : Seconds between DELETE_COMPLETE and the moment at which the name is free.
# On a cloud Heat deletes the stack's trust in : Keystone meanwhile: 1 to 7 s were measured.
# Until then it shows DELETE_COMPLETE, and refuses the name with 409.
NAME_WINDOW = float(os.environ.get("SANDBOX_HEAT_NAME_WINDOW", "0"))

#: The file of the database, in the data folder.
DATABASE = "heat.sqlite"

#: Heat says at INFO what it does with stacks and resources; these say what nobody asks for.
LOG_LEVELS = (
    "alembic=WARNING",
    "heat.common.wsgi=WARNING",
    "heat.db=WARNING",
    "heat.engine.environment=ERROR",
    "oslo=WARNING",
    "oslo_config=ERROR",
    "oslo_policy=ERROR",
    "waitress=WARNING",
)

CONFIGURATION = """\
[DEFAULT]
transport_url = fake:/
convergence_engine = {convergence}
deferred_auth_method = password
max_stacks_per_tenant = -1
num_engine_workers = 1
executor_thread_pool_size = 32
plugin_dirs = {plugins}
enable_stack_abandon = true
enable_stack_adopt = true
environment_dir = {data}/environment.d
template_dir = {data}/templates
default_log_levels = {log_levels}
[database]
connection = sqlite:///{data}/{database}?timeout=60
sqlite_synchronous = false
[paste_deploy]
flavor = noauth
api_paste_config = {data}/api-paste.ini
[oslo_policy]
policy_file = {data}/policy.json
enforce_scope = false
enforce_new_defaults = false
"""

PASTE = """\
[pipeline:heat-api-noauth]
pipeline = request_id faultwrap noauth context versionnegotiation apiv1app
[app:apiv1app]
paste.app_factory = heat.common.wsgi:app_factory
heat.app_factory = heat.api.openstack.v1:API
[filter:versionnegotiation]
paste.filter_factory = heat.common.wsgi:filter_factory
heat.filter_factory = heat.api.openstack:version_negotiation_filter
[filter:faultwrap]
paste.filter_factory = heat.common.wsgi:filter_factory
heat.filter_factory = heat.api.openstack:faultwrap_filter
[filter:context]
paste.filter_factory = heat.common.context:ContextMiddleware_filter_factory
[filter:noauth]
paste.filter_factory = heat.common.noauth:filter_factory
[filter:request_id]
paste.filter_factory = oslo_middleware.request_id:RequestId.factory
"""


def project_from_path(application: Application) -> Application:
    """Middleware: the project is the one in the URL.
    Heat's `noauth` takes it from a header, "admin" by default."""

    def middleware(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        parts = environ.get("PATH_INFO", "").split("/")
        if len(parts) > 2 and parts[1] == "v1" and parts[2]:
            environ["HTTP_X_AUTH_PROJECT"] = parts[2]
        return application(environ, start_response)

    return middleware


def write_configuration(
    data: Path, convergence: bool, plugins: Iterable[Path] = ()
) -> Path:
    """Write Heat's configuration files below `data`; the path of the main one is returned.

    :param plugins: folders with further resource types.
    """
    from heat import policies

    data.mkdir(parents=True, exist_ok=True)
    folders = [Path(__file__).resolve().parent / "heat_plugins", *plugins]
    (data / "api-paste.ini").write_text(PASTE)
    # Everybody may do in the project of the URL whatever Heat lets anybody do; nobody is an admin,
    # who sees them all.
    nobody = ("rule:deny_everybody", "!")
    policy = {
        rule.name: "!" if rule.check_str in nobody else ""
        for rule in policies.list_rules()
    }
    policy["context_is_admin"] = "!"
    (data / "policy.json").write_text(json.dumps(policy, indent=1))
    configuration = data / "heat.conf"
    values = {
        "data": data,
        "database": DATABASE,
        "plugins": ",".join(map(str, folders)),
        "convergence": str(convergence).lower(),
        "log_levels": ",".join(LOG_LEVELS),
    }
    configuration.write_text(CONFIGURATION.format(**values))
    return configuration


def prepare_database(data: Path) -> None:
    """Bring the schema up to date, then make every transaction take SQLite's write lock at its
    beginning.

    A transaction that starts by reading and then writes cannot wait for another writer: SQLite
    fails it at once with "database is locked", whatever the timeout.
    Started with BEGIN IMMEDIATE, it waits its turn.
    Write-ahead logging, which lets readers and the writer go on side by side, stays set in the
    database file.
    The migration comes first because it uses two connections at once, which would wait for each
    other.
    """
    import sqlalchemy
    from heat.db import api, migration

    with contextlib.closing(sqlite3.connect(data / DATABASE)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    migration.db_sync()

    @sqlalchemy.event.listens_for(
        api.get_engine(), "before_cursor_execute", retval=True
    )  # type: ignore[untyped-decorator]
    def begin_immediately(
        connection: Any,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> tuple[str, Any]:
        return (
            "BEGIN IMMEDIATE" if statement == "BEGIN" else statement
        ), parameters


def restore_cloud(data: Path) -> None:
    """Tell the simulated cloud of the resources that were made before this start."""
    from orchestrator.sandbox.simulation import facts

    query = (
        "SELECT resource.nova_instance, resource_data.value FROM resource_data JOIN"
        " resource ON resource.id = resource_data.resource_id WHERE"
        " resource_data.key = ?"
    )
    with contextlib.closing(sqlite3.connect(data / DATABASE)) as connection:
        rows = connection.execute(query, (facts.FACTS,)).fetchall()
    facts.CLOUD.restore(
        (identity, json.loads(facts)) for identity, facts in rows
    )


def poll_faster() -> None:
    """Let the engine poll resources in progress every POLL seconds instead of every second."""
    from heat.engine import scheduler

    sleep = scheduler.TaskRunner._sleep
    scheduler.TaskRunner._sleep = lambda runner, pause: sleep(
        runner, pause and min(pause, POLL)
    )


def keep_names() -> None:
    """Let the name of a deleted stack become free only NAME_WINDOW seconds after the stack is
    DELETE_COMPLETE."""
    from heat.objects import stack

    delete = stack.Stack.delete.__func__

    def later(cls: Any, context: Any, stack_id: str) -> None:
        kept = cls.get_by_id(context, stack_id)
        if kept is not None and not kept.owner_id:
            time.sleep(NAME_WINDOW)
        delete(cls, context, stack_id)

    stack.Stack.delete = classmethod(later)


def build(
    data: Path, convergence: bool = False, plugins: Iterable[Path] = ()
) -> Application:
    """Start the engine in this process and give the API in front of it.
    `data` must be an absolute path."""
    from oslo_service import backend

    # Before any part of the engine is imported.
    backend.init_backend(backend.BackendType.THREADING)

    from heat.api.openstack import wsgi

    configuration = write_configuration(data, convergence, plugins)
    sys.argv = [
        "heat-api",
        "--config-file",
        str(configuration),
    ]  # read by init_application through oslo.config
    application: Application = wsgi.init_application()

    from heat.engine import service, template
    from heat.rpc import api as rpc_api

    prepare_database(data)
    restore_cloud(data)
    poll_faster()
    keep_names()
    template._get_template_extension_manager()
    service.EngineService("localhost", rpc_api.ENGINE_TOPIC).start()
    return project_from_path(application)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.sandbox.heat_server",
        description="Run a real Heat.",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, required=True, help="port of the API"
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder for the database and the configuration",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=8,
        help="threads of the API (default: %(default)s)",
    )
    parser.add_argument(
        "--convergence",
        action="store_true",
        help="run the engine in its convergence mode",
    )
    parser.add_argument(
        "--plugins",
        type=Path,
        action="append",
        default=[],
        help="folder with further resource types",
    )
    return parser.parse_args()


def main() -> None:
    options = _options()
    # Nothing needs an orderly end: SQLite's journal is made for it, and a restart resets what was
    # in progress.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))

    import waitress

    application = build(
        options.data.resolve(), options.convergence, options.plugins
    )
    print(
        f"heat on http://{options.host}:{options.port}/v1/<project>", flush=True
    )
    server = threading.Thread(
        target=waitress.serve,
        args=(application,),
        kwargs={
            "host": options.host,
            "port": options.port,
            "threads": options.workers,
            "connection_limit": 1000,
        },
        daemon=True,
    )
    server.start()
    server.join()
    os._exit(1)


if __name__ == "__main__":
    main()
