"""A token of Keystone for the reader of the schema list, through keystoneauth."""

from __future__ import annotations

from typing import Any

from ...errors import InvalidInput, SchemasDenied, TemporaryError


class Keystone:
    """Tokens of one cloud of clouds.yaml, or of the ``OS_*`` variables, read as the ``openstack``
    command reads them.

    Nothing is read or imported before the first token.
    """

    def __init__(self, cloud: str) -> None:
        """:param cloud: its name in clouds.yaml; empty: what the environment says."""
        self._cloud = cloud
        self._session: Any = None

    def token(self) -> str:
        """
        :raises SchemasDenied: Keystone refuses the credentials.
        :raises InvalidInput: there are no credentials, or they are incomplete.
        :raises TemporaryError: Keystone does not answer.
        """
        # A third of a second to import.
        from keystoneauth1 import (
            exceptions as keystone,
        )

        denied = (keystone.Unauthorized, keystone.Forbidden, keystone.NotFound)
        incomplete = (
            keystone.MissingRequiredOptions,
            keystone.NoMatchingPlugin,
            keystone.AuthorizationFailure,
        )
        try:
            if self._session is None:
                self._session = self._open()
            token = self._session.get_token()
        except denied as error:
            told = f"Keystone refuses the credentials: {error}"
            raise SchemasDenied(self._told(told)) from error
        except incomplete as error:
            raise InvalidInput(
                self._told(f"they give no token: {error}")
            ) from error
        except keystone.ClientException as error:
            raise TemporaryError(
                self._told(f"Keystone does not answer: {error}")
            ) from error
        if not token:
            raise InvalidInput(
                self._told(
                    "they give no token; is OS_AUTH_TYPE a way to Keystone?"
                )
            )
        return str(token)

    def forget(self) -> None:
        """The next token is a new one."""
        if self._session is not None:
            self._session.invalidate()

    def _open(self) -> Any:
        from openstack import config
        from openstack import exceptions as openstack

        try:
            clouds = config.OpenStackConfig(load_envvars=True)
            return clouds.get_one(cloud=self._cloud or None).get_session()
        except (openstack.ConfigException, OSError) as error:
            raise InvalidInput(self._told(str(error))) from error

    def _told(self, what: str) -> str:
        if self._cloud:
            return f"ORCHESTRATOR_SCHEMAS_OS_CLOUD {self._cloud}: {what}"
        return f"ORCHESTRATOR_SCHEMAS_AUTH: the OS_* variables: {what}"
