"""What one WebSocket may say."""

from __future__ import annotations

from mimamba.service.auth.authenticator import Authenticator, AuthRefusal, Permission
from mimamba.service.auth.scopes import allows, need_of_message
from mimamba.service.protocol.auth import Auth, Scope
from mimamba.service.protocol.messages import ClientMessage, Error
from mimamba.service.protocol.push import Samples


class ConnectionPermissions:
    """A socket's rights, from the door that let it in.

    Parameters
    ----------
    door
        Tells whether they still hold.
    address
        Where the socket comes from.
    grant
        What the socket came with; None for a stranger.

    Attributes
    ----------
    shown
        The ``id`` of the ``auth`` that they come from, where they do.
    """

    def __init__(self, door: Authenticator, address: str, grant: Permission | None) -> None:
        self._door = door
        self._address = address
        self._grant = grant
        self.shown: str | int | None = None

    @property
    def scope(self) -> Scope | None:
        """What it may do; None as long as it is a stranger's, or once its login has ended."""
        return self._grant.scope if self._grant and self._door.holds(self._grant) else None

    @property
    def login(self) -> bool:
        """Whether they come from a login's cookie."""
        return self._grant is not None and self._grant.login is not None

    def show(self, asked: Auth) -> AuthRefusal | None:
        """Show a token: a right one is what counts from here on, another changes nothing."""
        judged = self._door.present(asked.token, self._address)
        if isinstance(judged, AuthRefusal):
            return judged
        self._grant, self.shown = judged, asked.id
        return None

    def refusal(self, asked: ClientMessage) -> Error | None:
        """What a message is answered that it may not say."""
        if allows(self._grant, need_of_message(asked)):
            return None
        number = asked.seq if isinstance(asked, Samples) else asked.id
        if self._grant is None:
            text = "Expected auth with a token first, but found another message. Say auth."
            return Error("unauthenticated", text, number)
        text = f"Expected the token for control, but found the one for {self._grant.scope}. "
        "Use the other."
        return Error("forbidden", text, number)
