import logging

import pytest

from cleanmails.actors import doctor, plan, upkeep
from cleanmails.demo import catcher
from cleanmails.errors import SettingsError
from cleanmails.ledger import invariants


@pytest.fixture
def campaign(house, work, drain):
    """Two mails out."""
    with catcher.running() as server:
        house.knows("b.example")
        made = house.campaign(house.leads("bob@b.example", "eve@b.example"), [house.sender(port=server.port)])
        plan.plan(work)
        drain()
    return made


@pytest.fixture
def ask(database_url, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_URL", database_url)

    def run():
        code = doctor.main([])
        return code, capsys.readouterr().out

    return run


def test_a_healthy_ledger_is_sound(campaign, ask):
    code, said = ask()
    assert (code, "BROKEN" in said) == (0, False)
    assert said.endswith("The ledger is sound.\n")


def test_a_damaged_ledger_is_said_to_be_with_the_rows_and_what_to_do(campaign, house, ask):
    house.run("UPDATE sender_days SET used = 7")
    code, said = ask()
    assert code == 1
    assert "BROKEN    1  A sender's day counts" in said
    assert "used 7, in_the_ledger 2" in said
    assert "What to do: " in said
    assert said.endswith(f"1 of {len(invariants.INVARIANTS)} invariants are broken.\n")


def test_without_a_database_there_is_nothing_to_look_at(monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(SettingsError):
        doctor.main([])


def test_upkeep_raises_an_alarm_for_what_is_broken(campaign, house, work, caplog):
    assert upkeep.examine(work) == 0
    house.run("UPDATE campaign_runs SET sent = 9")
    with caplog.at_level(logging.ERROR):
        assert upkeep.examine(work) == 1
    assert "runs_are_counted" in caplog.text
