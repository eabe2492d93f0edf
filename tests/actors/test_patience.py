"""A mail waits long where haste would make an unknown, and nothing goes out while the ledger cannot commit."""

import threading

import pytest

from cleanmails.actors import plan, render, send, sweep
from cleanmails.actors import work as surroundings
from cleanmails.demo import catcher
from cleanmails.mail.smtp import Timeouts


@pytest.fixture
def ready(house, work):
    """One rendered mail to a real server: (campaign, lead, server, the message that sends it)."""
    with catcher.running() as server:
        house.knows("b.example")
        (lead,) = house.leads("bob@b.example")
        campaign = house.campaign([lead], [house.sender(port=server.port)])
        plan.plan(work)
        render.render(work, work.queues.messages.popleft()[1][0])
        yield campaign, lead, server, work.queues.messages.popleft()[1]


def test_only_the_final_dot_has_ten_minutes():
    patience = Timeouts()
    stages = {name: getattr(patience, name) for name in Timeouts.__struct_fields__}
    assert stages.pop("dot") == 600
    assert max(stages.values()) <= 180


def test_a_lease_is_renewed_while_a_mail_waits_at_its_dot(house, work, new_work, ready, monkeypatch):
    campaign, lead, _, args = ready
    monkeypatch.setattr(surroundings, "BEAT_SECONDS", 0.05)
    beaten = threading.Event()

    def wait_for_two_beats(point, _ids):
        if point == "after_dot":
            seen = set()
            while len(seen) < 3:
                seen.add(house.one("SELECT seen_at FROM workers WHERE id = %s", patient.worker_id))
                sweep.sweep(work)
            beaten.set()

    patient = new_work(progress=wait_for_two_beats)
    hand = send.Hand(patient)
    send.send(patient, hand, send.Turns(), *args)
    hand.close()
    hand.journal.close()
    assert beaten.is_set()
    assert house.delivery(campaign, lead)["state"] == "sent"


class Mended(threading.Event):
    """Whoever waits with it finds that the ledger takes writes again."""

    def __init__(self, mend):
        super().__init__()
        self.waits = 0
        self._mend = mend

    def wait(self, timeout=None):  # noqa: ARG002 - the real one's signature
        self.waits += 1
        self._mend()
        return self.is_set()


@pytest.fixture
def read_only(house):
    """Postgres takes no writes: a standby has taken over."""
    name = house.one("SELECT current_database()")

    def hurt():
        house.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        house.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip

    def mend():
        house.run(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
        house.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip

    return hurt, mend


@pytest.fixture
def disk_full(house):
    """Postgres says of every write to a delivery that its disk is full (SQLSTATE 53100)."""
    house.run(
        """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$"""
    )

    def hurt():
        house.run("CREATE TRIGGER full_disk BEFORE UPDATE ON deliveries FOR EACH ROW EXECUTE FUNCTION full_disk()")

    def mend():
        house.run("DROP TRIGGER IF EXISTS full_disk ON deliveries")

    return hurt, mend


@pytest.mark.parametrize("kind", ["read_only", "disk_full"])
def test_while_the_ledger_cannot_commit_no_mail_is_ended_and_then_it_goes_on_by_itself(
    house, new_work, work, drain, ready, request, caplog, kind
):
    hurt, mend = request.getfixturevalue(kind)
    campaign, lead, server, args = ready
    stop = Mended(lambda: (seen.append(len(server.mails())), mend()))
    seen = []
    poor = new_work(stop=stop, progress=lambda point, _ids: hurt() if point == "after_354" else None)
    hand = send.Hand(poor)
    send.send(poor, hand, send.Turns(), *args)
    hand.close()
    hand.journal.close()
    assert stop.waits > 0
    assert set(seen) == {0}
    assert "ledger.awaited" in caplog.text
    assert (server.mails(), house.delivery(campaign, lead)["state"]) == ([], "deferred")
    house.run("UPDATE campaign_leads SET due_at = now() WHERE state = 'waiting'")
    plan.plan(work)
    drain()
    assert len(server.mails()) == 1
