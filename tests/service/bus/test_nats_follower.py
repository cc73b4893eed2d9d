"""Parts of a follower, each alone; all else is tested with the bus."""

from __future__ import annotations

import asyncio

import pytest

from mimamba.service.bus.nats_follower import cancellable, numbers_of


def test_the_numbers_of_a_message_are_in_its_reply_subject() -> None:
    rest = "IN.consumer.1.17.5.1700000000000000000.0"
    assert numbers_of(f"$JS.ACK.{rest}") == (17, 5, 1.7e9)
    assert numbers_of(f"$JS.ACK.domain.account.{rest}.random") == (17, 5, 1.7e9)


@pytest.mark.parametrize("fails", [False, True])
def test_an_answer_that_comes_with_a_cancellation_does_not_hide_it(fails: bool) -> None:
    async def scene() -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(cancellable(asyncio.wait_for(answer, 60)))
        await asyncio.sleep(0)
        if fails:
            answer.set_exception(OSError())
        else:
            answer.set_result(None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())
