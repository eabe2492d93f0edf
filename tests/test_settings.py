"""The one settings struct, read at the door."""

import base64
from pathlib import Path

import msgspec
import pytest

from cleanmails import settings
from cleanmails.errors import SettingsError
from cleanmails.settings import DEVELOPMENT_KEY, VARIABLES, Servers, load

KEY = bytes(range(32))
ROOT = Path(__file__).parents[1]


def faults(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    return caught.value.message.splitlines()


def test_nothing_set_is_good_for_trying_out_on_one_machine():
    given = load({})
    assert given.environment == "development"
    assert given.public_url == "http://127.0.0.1:8000"
    assert given.secret_key == DEVELOPMENT_KEY
    assert given.dns_servers == ()
    assert given.allow_private_hosts
    assert given.database_url is None


def test_an_empty_value_counts_as_not_set():
    assert load(dict.fromkeys((variable.name for variable in VARIABLES), "")) == load({})


def test_each_variable_has_a_field_and_each_field_a_variable():
    fields = {field.name for field in msgspec.structs.fields(settings.Settings)}
    assert {variable.field for variable in VARIABLES if variable.field} == fields - {"secret_key"}


def test_all_faults_are_told_at_once_each_with_its_variable():
    told = faults(PORT="http", CLEANMAILS_LOG="xml", CLEANMAILS_SEND_THREADS="0", DATABASE_URL="mysql://x")
    assert [sentence.split()[0] for sentence in told] == [
        "DATABASE_URL",
        "PORT",
        "CLEANMAILS_LOG",
        "CLEANMAILS_SEND_THREADS",
    ]
    assert "PORT must be a whole number from 1 to 65535, not 'http'." in told


def test_a_faulty_secret_is_not_repeated():
    told = faults(CLEANMAILS_SECRET_KEY="hunter2", DATABASE_URL="hunter2", REDIS_URL="hunter2")
    assert len(told) == 3
    assert "hunter2" not in "".join(told)


def test_the_settings_do_not_show_secrets():
    given = load({"CLEANMAILS_SECRET_KEY": KEY.hex(), "DATABASE_URL": "postgresql://someone:hunter2@db.example/x"})
    assert "hunter2" not in repr(given)
    assert repr(KEY) not in repr(given)


@pytest.mark.asvs("13.2.3", "12.2.1")
def test_production_wants_its_own_key_and_an_https_address():
    told = faults(CLEANMAILS_ENV="production")
    assert [sentence.split()[0] for sentence in told] == ["CLEANMAILS_SECRET_KEY", "CLEANMAILS_URL"]
    told = faults(
        CLEANMAILS_ENV="production",
        CLEANMAILS_URL="http://mail.example.com",
        CLEANMAILS_SECRET_KEY=DEVELOPMENT_KEY.hex(),
    )
    assert [sentence.split()[0] for sentence in told] == ["CLEANMAILS_SECRET_KEY", "CLEANMAILS_URL"]


def test_production_with_both_is_taken():
    given = load(
        {
            "CLEANMAILS_ENV": "production",
            "CLEANMAILS_URL": "https://mail.example.com/",
            "CLEANMAILS_SECRET_KEY": KEY.hex(),
        }
    )
    assert given.public_url == "https://mail.example.com"
    assert not given.allow_private_hosts


def test_production_on_a_loopback_address_needs_no_https():
    given = load(
        {
            "CLEANMAILS_ENV": "production",
            "CLEANMAILS_URL": "http://127.0.0.1:8000",
            "CLEANMAILS_SECRET_KEY": KEY.hex(),
        }
    )
    assert given.public_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize("reachable", [{"CLEANMAILS_HOST": "0.0.0.0"}, {"CLEANMAILS_URL": "https://mail.example.com"}])
def test_the_well_known_key_is_refused_where_others_can_reach_the_process(reachable):
    assert faults(**reachable)[0].startswith("CLEANMAILS_SECRET_KEY must be set")
    assert load({**reachable, "CLEANMAILS_SECRET_KEY": KEY.hex()}).secret_key == KEY


@pytest.mark.parametrize(
    "text", [KEY.hex(), base64.urlsafe_b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode().rstrip("=")]
)
def test_the_key_may_be_hexadecimal_or_base64url(text, tmp_path):
    assert load({"CLEANMAILS_SECRET_KEY": text}).secret_key == KEY
    file = tmp_path / "key"
    file.write_text(f"{text}\n")
    assert load({"CLEANMAILS_SECRET_KEY_FILE": str(file)}).secret_key == KEY


@pytest.mark.parametrize(
    "text", ["abc", KEY[:31].hex(), "ü" * 64, "=" * 44, base64.urlsafe_b64encode(KEY + b"x").decode()]
)
def test_another_length_is_no_key(text):
    assert "32 bytes" in faults(CLEANMAILS_SECRET_KEY=text)[0]


def test_a_key_is_given_once_and_its_file_must_hold_it(tmp_path):
    file = tmp_path / "key"
    file.write_text("abc")
    assert "32 bytes" in faults(CLEANMAILS_SECRET_KEY_FILE=str(file))[0]
    assert "No such file" in faults(CLEANMAILS_SECRET_KEY_FILE=str(tmp_path / "none"))[0]
    file.write_text(KEY.hex())
    assert "both set" in faults(CLEANMAILS_SECRET_KEY=KEY.hex(), CLEANMAILS_SECRET_KEY_FILE=str(file))[0]


def test_rates_that_are_left_out_keep_their_defaults():
    given = load({"CLEANMAILS_PROVIDER_RATES": "google=0.5, other=20"})
    assert given.provider_rates == {
        "google": 0.5,
        "microsoft": 2.0,
        "yahoo": 2.0,
        "icloud": 2.0,
        "proton": 1.0,
        "other": 20.0,
    }


@pytest.mark.parametrize(
    "text", ["google=0", "google=-1", "google=nan", "google=inf", "google", "gmail=2", "google=2;yahoo=2"]
)
def test_a_rate_that_is_no_rate_is_refused(text):
    assert faults(CLEANMAILS_PROVIDER_RATES=text)[0].startswith("CLEANMAILS_PROVIDER_RATES must")


def test_dns_servers_are_addresses_with_or_without_a_port():
    given = load({"CLEANMAILS_DNS_SERVERS": "192.0.2.1, 127.0.0.1:5353,2001:db8::1,[2001:db8::1]:54"})
    assert given.dns_servers == (("192.0.2.1", 53), ("127.0.0.1", 5353), ("2001:db8::1", 53), ("2001:db8::1", 54))


@pytest.mark.parametrize("text", ["dns.example", "192.0.2.1:0", "192.0.2.1:x", "192.0.2.1 192.0.2.2"])
def test_anything_else_is_no_dns_server(text):
    assert faults(CLEANMAILS_DNS_SERVERS=text)[0].startswith("CLEANMAILS_DNS_SERVERS must")


@pytest.mark.parametrize(
    "text",
    [
        "mail.example.com",
        "ftp://mail.example.com",
        "https://",
        "https://mail.example.com/path",
        "https://a@mail.example.com",
        "https://[x",
    ],
)
def test_a_public_url_has_a_scheme_a_host_and_no_path(text):
    assert faults(CLEANMAILS_URL=text)[0].startswith("CLEANMAILS_URL must be a URL")


def test_a_missing_server_is_named_by_the_process_that_needs_it():
    url = "unix:///run/redis.sock"
    with pytest.raises(SettingsError, match=r"^DATABASE_URL must be set[^\n]*$"):
        load({"REDIS_URL": url}).servers()
    both = load({"REDIS_URL": url, "DATABASE_URL": "postgresql:///x"})
    assert both.servers() == Servers("postgresql:///x", url)


def test_the_readme_shows_the_settings_as_they_are():
    assert settings.table() in (ROOT / "README.md").read_text()


def test_old_keys_may_be_given_as_they_are_or_as_files(tmp_path):
    file = tmp_path / "old"
    file.write_text(DEVELOPMENT_KEY.hex())
    assert load({"CLEANMAILS_OLD_KEYS": f"{KEY.hex()}, {file}"}).old_keys == (KEY, DEVELOPMENT_KEY)
    (told,) = faults(CLEANMAILS_OLD_KEYS=f"{KEY.hex()},hunter2")
    assert told.startswith("CLEANMAILS_OLD_KEYS must be 32 bytes")
    assert "hunter2" not in told
