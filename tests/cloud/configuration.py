"""The configuration files of Keystone and Heat, as text."""

from __future__ import annotations

from pathlib import Path

REGION = "RegionOne"

KEYSTONE = """\
[DEFAULT]
use_stderr = true
[database]
connection = {database}
max_pool_size = 5
[token]
provider = fernet
expiration = {expiration}
allow_expired_window = 86400
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/receipts
[credential]
key_repository = {folder}/credentials
[cache]
enabled = false
[identity]
password_hash_rounds = 4
[security_compliance]
lockout_failure_attempts = 5
lockout_duration = 1800
[oslo_policy]
enforce_scope = false
enforce_new_defaults = false
"""
"""*expiration*: seconds for which a token is valid. An account is locked after five wrong passwords.
Passwords are hashed with few rounds, so that a login costs Keystone no more than other requests."""

HEAT = """\
[DEFAULT]
use_stderr = true
transport_url = {messages}
convergence_engine = true
deferred_auth_method = trusts
num_engine_workers = 1
executor_thread_pool_size = 16
max_stacks_per_tenant = -1
plugin_dirs = {plugins}
environment_dir = {folder}/environment.d
template_dir = {folder}/templates
region_name_for_services = {region}
stack_user_domain_name = heat
stack_domain_admin = heat-domain
stack_domain_admin_password = {password}
auth_encryption_key = 0123456789abcdef0123456789abcdef
default_log_levels = amqp=WARNING,oslo=WARNING,heat.engine.environment=ERROR,sqlalchemy=WARNING
[database]
connection = {database}
max_pool_size = 10
max_overflow = 20
[keystone_authtoken]
auth_type = password
auth_url = {keystone}
www_authenticate_uri = {keystone}
username = heat
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
service_type = orchestration
[trustee]
auth_type = password
auth_url = {keystone}
username = heat
password = {password}
user_domain_id = default
[clients_keystone]
auth_uri = {keystone}
[paste_deploy]
api_paste_config = {folder}/api-paste.ini
[oslo_messaging_notifications]
driver = noop
[oslo_policy]
enforce_scope = false
enforce_new_defaults = false
"""

PASTE = """\
[pipeline:heat-api]
pipeline = request_id faultwrap versionnegotiation authurl authtoken context apiv1app
[app:apiv1app]
paste.app_factory = heat.common.wsgi:app_factory
heat.app_factory = heat.api.openstack.v1:API
[filter:request_id]
paste.filter_factory = oslo_middleware.request_id:RequestId.factory
[filter:faultwrap]
paste.filter_factory = heat.common.wsgi:filter_factory
heat.filter_factory = heat.api.openstack:faultwrap_filter
[filter:versionnegotiation]
paste.filter_factory = heat.common.wsgi:filter_factory
heat.filter_factory = heat.api.openstack:version_negotiation_filter
[filter:authurl]
paste.filter_factory = heat.common.auth_url:filter_factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[filter:context]
paste.filter_factory = heat.common.context:ContextMiddleware_filter_factory
"""


def write_keystone(folder: Path, *, database: str, expiration: int) -> Path:
    """Write Keystone's configuration.

    :param expiration: seconds for which a token is valid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "keystone.conf"
    path.write_text(KEYSTONE.format(folder=folder, database=database, expiration=expiration))
    return path


def write_heat(
    folder: Path, *, database: str, messages: str, keystone: str, plugins: Path, password: str
) -> Path:
    """Write Heat's configuration, and one file more for each engine, with its host name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "api-paste.ini").write_text(PASTE)
    path = folder / "heat.conf"
    values = {"database": database, "messages": messages, "keystone": keystone}
    text = HEAT.format(folder=folder, plugins=plugins, password=password, region=REGION, **values)
    path.write_text(text)
    return path
