import pytest

from cleanmails.demo.zone import Fault, Zone, serving
from cleanmails.mail.dns import Resolver
from cleanmails.mail.domains import Kind, RecordState, check_domain, to_publish, verdict
from cleanmails.records import DomainStatus

KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" * 12
DKIM = "cm1._domainkey.out.example"


@pytest.fixture
def zone():
    zone = Zone()
    publish(zone)
    zone.add("out.example", "MX", "10 mx.out.example.")
    return zone


@pytest.fixture
def look(zone):
    """Checks out.example, and gives its findings by kind."""
    with serving(zone) as port:
        resolver = Resolver([("127.0.0.1", port)], timeout=3)

        def check(domain="out.example", **options):
            return {finding.kind: finding for finding in check_domain(domain, "cm1", KEY, resolver=resolver, **options)}

        yield check


def publish(zone, **options):
    for record in to_publish("out.example", "cm1", KEY, **options):
        zone.replace(record.name, record.type, record.value if record.type == "TXT" else f"{record.value}.")


def test_a_domain_that_publishes_what_we_show_is_verified(zone, look):
    options = {"spf": ["include:spf.relay.example"], "tracking": ("track.out.example", "app.example")}
    zone.add("spf.relay.example", "TXT", "v=spf1 ip4:192.0.2.1 -all")
    publish(zone, **options)
    findings = look(**options)
    assert {kind: finding.state for kind, finding in findings.items()} == dict.fromkeys(Kind, RecordState.OK)
    assert verdict(list(findings.values())) is DomainStatus.VERIFIED


def test_a_domain_without_records_is_pending_and_every_record_is_named(look):
    findings = look("bare.example")
    assert {finding.state for finding in findings.values()} == {RecordState.MISSING}
    assert findings[Kind.DKIM].name == "cm1._domainkey.bare.example"
    assert findings[Kind.DKIM].expected == f"v=DKIM1; k=rsa; p={KEY}"
    assert verdict(list(findings.values())) is DomainStatus.PENDING


@pytest.mark.parametrize("fault", [Fault.SERVFAIL, Fault.REFUSED])
@pytest.mark.parametrize("name", ["out.example", DKIM])
def test_a_failing_name_server_changes_nothing(zone, look, fault, name):
    zone.fail(name, fault)
    findings = look()
    assert RecordState.UNREACHABLE in {finding.state for finding in findings.values()}
    assert RecordState.MISSING not in {finding.state for finding in findings.values()}
    assert verdict(list(findings.values())) is None


def test_a_missing_spf_record_is_advice_and_no_obstacle(zone, look):
    zone.replace("out.example", "TXT", "something else")
    findings = look()
    assert findings[Kind.SPF].state is RecordState.MISSING
    assert verdict(list(findings.values())) is DomainStatus.VERIFIED


def test_several_spf_records_are_wrong_and_the_domain_is_faulty(zone, look):
    zone.add("out.example", "TXT", "v=spf1 -all")
    findings = look()
    assert findings[Kind.SPF].state is RecordState.WRONG
    assert len(findings[Kind.SPF].found) == 2
    assert verdict(list(findings.values())) is DomainStatus.FAULTY


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 +all",
        "v=spf1 mx all",
        "v=spf1 includes:relay.example ~all",
        "v=spf1 ip4 ~all",
        "v=spf1 " + " ".join(f"a:h{number}.example" for number in range(11)) + " ~all",
    ],
)
def test_an_spf_record_that_harms_is_wrong(zone, look, record):
    zone.replace("out.example", "TXT", record)
    assert look()[Kind.SPF].state is RecordState.WRONG


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 -all",
        "V=SPF1 MX ~ALL",
        "v=spf1",
        "v=spf1 a:mail.example/24 mx//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 exists:%{i}.x.example ?all",
        "v=spf1 redirect=_spf.example",
        "v=spf1 mx exp=explain.example -all",
    ],
)
def test_a_well_formed_spf_record_is_taken(zone, look, record):
    zone.replace("out.example", "TXT", record)
    assert look()[Kind.SPF].state is RecordState.OK


def test_an_spf_record_that_lacks_an_include_is_wrong_and_shown_mended(zone, look):
    zone.replace("out.example", "TXT", "v=spf1 mx -all")
    finding = look(spf=["include:spf.relay.example"])[Kind.SPF]
    assert finding.state is RecordState.WRONG
    assert finding.expected == "v=spf1 include:spf.relay.example mx -all"


def test_look_ups_behind_includes_count_and_a_circle_of_them_ends(zone, look):
    zone.replace("out.example", "TXT", "v=spf1 include:round.example ~all")
    zone.add("round.example", "TXT", "v=spf1 include:round.example ~all")
    assert look()[Kind.SPF].state is RecordState.WRONG


@pytest.mark.parametrize(
    ("record", "word"),
    [
        (f"v=DKIM1; k=rsa; p={KEY[:200]}", "cut off after 200"),
        ("v=DKIM1; k=rsa; p=", "revoked"),
        ("v=DKIM1; k=rsa; p=" + KEY.replace("A", "B"), "another"),
        ("v=DKIM1; k=rsa", "no DKIM key"),
        (f"v=DKIM2; p={KEY}", "version"),
        (f"v=DKIM1; k=ed25519; p={KEY}", "kind of key"),
        (f"v=DKIM1; h=sha1; p={KEY}", "sha256"),
        (f"v=DKIM1; s=tlsrpt; p={KEY}", "for e-mail"),
    ],
)
def test_a_dkim_record_that_would_not_verify_is_wrong_and_says_why(zone, look, record, word):
    zone.replace(DKIM, "TXT", record)
    findings = look()
    assert findings[Kind.DKIM].state is RecordState.WRONG
    assert word in findings[Kind.DKIM].sentence
    assert verdict(list(findings.values())) is DomainStatus.FAULTY


@pytest.mark.parametrize(
    "record",
    [
        f"p={KEY}",
        f"k=rsa; p={KEY[:100]} {KEY[100:]};",
        f"v=DKIM1 ; h=sha1:sha256; s=* ; t=s; p = {KEY}",
        f"v=DKIM1; t=y; p={KEY}",
    ],
)
def test_a_dkim_record_may_be_written_otherwise(zone, look, record):
    zone.replace(DKIM, "TXT", record)
    assert look()[Kind.DKIM].state is RecordState.OK


def test_two_dkim_records_are_one_too_many(zone, look):
    zone.add(DKIM, "TXT", "v=DKIM1; p=")
    assert look()[Kind.DKIM].state is RecordState.WRONG


def test_a_dkim_record_behind_an_alias_counts(zone, look):
    zone.replace(DKIM, "TXT")
    zone.add(DKIM, "CNAME", "key.host.example.")
    zone.add("key.host.example", "TXT", f"v=DKIM1; p={KEY}")
    assert look()[Kind.DKIM].state is RecordState.OK


def test_the_policy_of_the_domain_above_holds(zone, look):
    zone.add("mail.out.example", "A", "127.0.0.1")
    finding = look("mail.out.example")[Kind.DMARC]
    assert finding.state is RecordState.OK
    assert "_dmarc.out.example" in finding.sentence


@pytest.mark.parametrize("record", ["v=DMARC1", "v=DMARC1; p=block", "v=DMARC1; sp=none"])
def test_a_policy_that_says_nothing_is_wrong(zone, look, record):
    zone.replace("_dmarc.out.example", "TXT", record)
    assert look()[Kind.DMARC].state is RecordState.WRONG


def test_several_policies_are_wrong_and_a_text_of_another_kind_is_none(zone, look):
    zone.add("_dmarc.out.example", "TXT", "v=DMARC1; p=reject")
    assert look()[Kind.DMARC].state is RecordState.WRONG
    zone.replace("_dmarc.out.example", "TXT", "v=spf1 -all")
    assert look()[Kind.DMARC].state is RecordState.MISSING


def test_a_domain_that_takes_no_mail_is_told_so(zone, look):
    zone.replace("out.example", "MX", "0 .")
    assert look()[Kind.MX].state is RecordState.WRONG


def test_a_tracking_name_may_be_flattened_to_the_same_address(zone, look):
    tracking = ("track.out.example", "app.example")
    zone.add("app.example", "A", "127.0.0.9")
    zone.add("track.out.example", "A", "127.0.0.9")
    assert look(tracking=tracking)[Kind.TRACKING].state is RecordState.OK


@pytest.mark.parametrize(("kind", "value"), [("A", "127.0.0.8"), ("CNAME", "other.example.")])
def test_a_tracking_name_that_leads_elsewhere_is_wrong(zone, look, kind, value):
    zone.add("app.example", "A", "127.0.0.9")
    zone.add("track.out.example", kind, value)
    assert look(tracking=("track.out.example", "app.example"))[Kind.TRACKING].state is RecordState.WRONG


def test_a_tracking_name_that_is_not_there_is_missing(look):
    assert look(tracking=("track.out.example", "app.example"))[Kind.TRACKING].state is RecordState.MISSING
