"""Sealed credentials and derived keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanmails.errors import SealError, SettingsError
from cleanmails.settings import load
from cleanmails.vault import Vault, key_id

OLD, NEW = bytes(32), bytes(range(32))
vault = Vault({1: OLD, 2: NEW}, current=2)


@given(st.binary(max_size=200), st.text(max_size=30))
@pytest.mark.asvs("11.3.2")
def test_what_was_sealed_opens_for_its_record(plain, record):
    assert vault.open(vault.seal(plain, record), record) == plain


@pytest.mark.asvs("13.3.1")
def test_what_was_sealed_does_not_open_for_another_record():
    with pytest.raises(SealError):
        vault.open(vault.seal(b"hunter2", "sender:7:password"), "sender:8:password")


@given(st.data())
@pytest.mark.asvs("11.3.3")
def test_no_byte_can_be_changed(data):
    sealed = vault.seal(b"hunter2", "sender:7:password")
    at = data.draw(st.integers(0, len(sealed) - 1))
    changed = bytes([*sealed[:at], sealed[at] ^ data.draw(st.integers(1, 255)), *sealed[at + 1 :]])
    with pytest.raises(SealError):
        vault.open(changed, "sender:7:password")


@pytest.mark.parametrize("length", [0, 1, 2, 13, 14, 20])
def test_what_is_cut_off_does_not_open(length):
    with pytest.raises(SealError):
        vault.open(vault.seal(b"hunter2", "x")[:length], "x")


def test_the_same_is_never_sealed_to_the_same_bytes():
    assert vault.seal(b"hunter2", "x") != vault.seal(b"hunter2", "x")


@pytest.mark.asvs("11.2.2")
def test_an_old_key_still_opens_and_the_new_one_seals():
    sealed = Vault({1: OLD}, current=1).seal(b"hunter2", "x")
    assert vault.open(sealed, "x") == b"hunter2"
    with pytest.raises(SealError):
        Vault({1: OLD}, current=1).open(vault.seal(b"hunter2", "x"), "x")


def test_each_purpose_has_a_key_of_its_own():
    derived = {vault.derive("session"), vault.derive("unsubscribe"), Vault({1: OLD}, current=1).derive("session")}
    assert len(derived) == 3
    assert {len(key) for key in derived} == {32}
    assert vault.derive("session") == Vault({2: NEW}, current=2).derive("session")


def test_the_settings_key_makes_the_vault():
    settings = load({"CLEANMAILS_SECRET_KEY": NEW.hex()})
    sealed = Vault.from_settings(settings).seal(b"hunter2", "x")
    assert Vault.from_settings(settings).open(sealed, "x") == b"hunter2"


def test_a_key_of_another_length_is_refused():
    with pytest.raises(ValueError):
        Vault({1: b"short"}, current=1)


def test_old_keys_of_the_settings_open_and_read_in_any_order():
    third = b"\7" * 32
    sealed = Vault.from_settings(load({"CLEANMAILS_SECRET_KEY": OLD.hex()})).seal(b"hunter2", "x")
    for old in ([OLD, third], [third, OLD], [OLD, NEW]):
        settings = load(
            {"CLEANMAILS_SECRET_KEY": NEW.hex(), "CLEANMAILS_OLD_KEYS": ", ".join(key.hex() for key in old)}
        )
        made = Vault.from_settings(settings)
        assert made.open(sealed, "x") == b"hunter2"
        assert made.current == key_id(NEW)
        assert made.derive_all("tokens")[key_id(OLD)] == Vault({9: OLD}, current=9).derive("tokens")
        assert made.ids == {key_id(key) for key in (NEW, *old)}


def test_keys_that_cannot_be_told_apart_stop_the_start():
    twin = next(key for n in range(1, 10_000) if key_id(key := n.to_bytes(32)) == key_id(NEW))
    with pytest.raises(SettingsError, match="CLEANMAILS_OLD_KEYS"):
        Vault.from_settings(load({"CLEANMAILS_SECRET_KEY": NEW.hex(), "CLEANMAILS_OLD_KEYS": twin.hex()}))


def test_what_was_sealed_before_keys_had_ids_of_their_own_opens():
    sealed = Vault({1: OLD}, current=1).seal(b"hunter2", "x")
    for environment in (
        {"CLEANMAILS_SECRET_KEY": OLD.hex()},
        {"CLEANMAILS_SECRET_KEY": NEW.hex(), "CLEANMAILS_OLD_KEYS": OLD.hex()},
    ):
        assert Vault.from_settings(load(environment)).open(sealed, "x") == b"hunter2"
