"""TouchDesigner: callbacks of an OSC In DAT, which put predictions and bands into a table.

    mimamba serve --osc-out 127.0.0.1:7000

In TouchDesigner make an OSC In DAT with port 7000 and this file as its Callbacks DAT, and a Table
DAT called ``mimamba``. Each value has a row there: a DAT to CHOP turns it into channels. While the
model abstains, the rows of its outputs are deleted, so that nothing follows an old value.
"""

from typing import Any

ROOT = "/mimamba/"
TABLE = "mimamba"
ABSTAINS = ("warming_up", "poor_signal")


def onReceiveOSC(  # noqa: N802  (TouchDesigner calls it by this name)
    dat: Any,
    _row: int,
    _message: str,
    _raw: bytes,
    _time: float,
    address: str,
    args: list[Any],
    _peer: Any,
) -> None:
    """Write one value into the table; its name is the address below the session's."""
    if not address.startswith(ROOT) or not args:
        return
    session, _, name = address.removeprefix(ROOT).partition("/")
    table = dat.parent().op(TABLE)
    key = f"{session}/{name}"
    if table.row(key) is None:
        table.appendRow([key, args[0]])
    else:
        table[key, 1] = args[0]
    if name == "prediction/status" and args[0] in ABSTAINS:
        forget(table, f"{session}/prediction/")


def forget(table: Any, prefix: str) -> None:
    """Delete the probabilities of a session; its status and reason stay."""
    kept = (f"{prefix}status", f"{prefix}reason")
    names = [str(cell) for cell in table.col(0) or []]
    for name in names:
        if name.startswith(prefix) and name not in kept:
            table.deleteRow(name)
