"""Permissions of one WebSocket."""

from __future__ import annotations

from mimamba.service.auth.authenticator import Authenticator, AuthRefusal, Permission
from mimamba.service.auth.scopes import allows, scope_refusal, scope_required_by_message
from mimamba.service.protocol.auth import Auth, Scope
from mimamba.service.protocol.messages import ClientMessage, Error
from mimamba.service.protocol.push import Samples


class ConnectionPermissions:
    """Permissions of a socket, from the token that it last sent.

    Parameters
    ----------
    authenticator
        Checks tokens, and whether a permission is still valid.
    address
        The client's address.
    permission
        From the handshake; None if it had no token.

    Attributes
    ----------
    auth_id
        The ``id`` of the ``auth`` message that the permission comes from, if it does.
    """

    def __init__(
        self, authenticator: Authenticator, address: str, permission: Permission | None
    ) -> None:
        self._authenticator = authenticator
        self._address = address
        self._permission = permission
        self.auth_id: str | int | None = None

    @property
    def scope(self) -> Scope | None:
        """The present scope; None before a token was accepted, or after its login has ended."""
        permission = self._permission
        if permission is None or not self._authenticator.is_valid(permission):
            return None
        return permission.scope

    @property
    def login(self) -> bool:
        """True if the permission comes from a login's cookie."""
        return self._permission is not None and self._permission.login is not None

    def authenticate(self, message: Auth) -> AuthRefusal | None:
        """Use the token of a message from now on; a wrong one is refused and changes nothing."""
        result = self._authenticator.authenticate_token(message.token, self._address)
        if isinstance(result, AuthRefusal):
            return result
        self._permission, self.auth_id = result, message.id
        return None

    def refusal(self, message: ClientMessage) -> Error | None:
        """Return the answer to a message that is not allowed; None if it is."""
        permission = self._permission if self.scope is not None else None  # it may have ended
        if allows(permission, scope_required_by_message(message)):
            return None
        number = message.seq if isinstance(message, Samples) else message.id
        if permission is None:
            text = "Expected an auth message with a token first. Send it before other messages."
            return Error("unauthenticated", text, number)
        return Error("forbidden", scope_refusal(permission), number)
