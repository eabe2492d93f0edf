"""Whose hit it was: a table of real programs and networks, and what shows only in the pattern."""

from datetime import UTC, datetime, timedelta

import pytest

from cleanmails.rules import hits
from cleanmails.rules.hits import Hit, Verdict, judge

SENT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
HOME = "198.51.100.7"

REAL = [
    # people: browsers and mail programs
    (CHROME, HOME, "human", "browser"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15", HOME, "human", "browser"),
    ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", HOME, "human", "browser"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1", HOME, "human", "browser"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1", HOME, "human", "browser"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/145.0 Mobile/15E148 Safari/605.1.15", HOME, "human", "browser"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148", HOME, "human", "browser"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)", HOME, "human", "browser"),
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36", HOME, "human", "browser"),
    ("Mozilla/5.0 (Linux; Android 14; SM-S921B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36", HOME, "human", "browser"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", HOME, "human", "browser"),
    ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", HOME, "human", "browser"),
    ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", HOME, "human", "browser"),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0", HOME, "human", "thunderbird"),
    ("Mozilla/4.0 (compatible; ms-office; MSOffice 16)", HOME, "human", "outlook"),
    ("Mozilla/4.0 (compatible; ms-office; MSOffice rmj)", HOME, "human", "outlook"),
    ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)", HOME, "human", "outlook"),
    ("Outlook-iOS/723.4027091.prod.iphone (4.2445.0)", HOME, "human", "outlook"),
    ("Outlook-Android/2.0", HOME, "human", "outlook"),
    ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "66.249.84.1", "human", "google_image_proxy"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0 (via ggpht.com GoogleImageProxy)", "74.125.208.3", "human", "google_image_proxy"),
    (CHROME, "2a02:26f0::1", "human", "browser"),
    # nobody can say
    ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "87.248.116.1", "unknown", "yahoo_mail_proxy"),
    ("Mozilla/5.0 (compatible; YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html)", HOME, "unknown", "yahoo_mail_proxy"),
    ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)", HOME, "unknown", "old_browser"),
    ("Mozilla/5.0 (Windows NT 5.1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/49.0 Safari/537.36", HOME, "unknown", "old_browser"),
    ("MailClient/1.0", HOME, "unknown", "unrecognised"),
    # machines by name
    ("Mozilla/5.0", "104.28.42.1", "machine", "apple_mail_privacy"),
    ("", HOME, "machine", "no_user_agent"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Microsoft Office Existence Discovery", HOME, "machine", "outlook_prefetch"),
    ("Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b", HOME, "machine", "microsoft_preview"),
    ("Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5", HOME, "machine", "microsoft_preview"),
    ("Barracuda Sentinel (EE)", HOME, "machine", "barracuda"),
    ("Mozilla/5.0 (compatible; BarracudaCentral/1.0)", HOME, "machine", "barracuda"),
    ("Mozilla/5.0 (compatible; Proofpoint URL Defense)", HOME, "machine", "proofpoint"),
    ("Mozilla/5.0 (compatible; Mimecast URL Protect)", HOME, "machine", "mimecast"),
    ("CiscoSecureEmail/1.0", HOME, "machine", "cisco"),
    ("Mozilla/5.0 (compatible; IronPort)", HOME, "machine", "cisco"),
    ("TMES/1.0", HOME, "machine", "trend_micro"),
    ("Mozilla/5.0 (compatible; Cloudmark)", HOME, "machine", "cloudmark"),
    ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", HOME, "machine", "link_preview"),
    ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", HOME, "machine", "link_preview"),
    ("WhatsApp/2.23.20.0", HOME, "machine", "link_preview"),
    ("TelegramBot (like TwitterBot)", HOME, "machine", "link_preview"),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "66.249.66.1", "machine", "crawler"),
    ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", HOME, "machine", "crawler"),
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36", HOME, "machine", "headless_browser"),
    ("curl/8.5.0", HOME, "machine", "library"),
    ("Wget/1.21.4", HOME, "machine", "library"),
    ("python-requests/2.32.3", HOME, "machine", "library"),
    ("Python/3.11 aiohttp/3.9.5", HOME, "machine", "library"),
    ("Go-http-client/2.0", HOME, "machine", "library"),
    ("Java/17.0.9", HOME, "machine", "library"),
    ("okhttp/4.12.0", HOME, "machine", "library"),
    ("axios/1.7.2", HOME, "machine", "library"),
    # machines by network, however they call themselves
    (CHROME, "17.58.97.4", "machine", "apple_network"),
    (CHROME, "40.94.20.5", "machine", "microsoft_network"),
    (CHROME, "52.101.73.1", "machine", "microsoft_network"),
    (CHROME, "104.47.11.10", "machine", "microsoft_network"),
    (CHROME, "2a01:111:f400:7d00::1", "machine", "microsoft_network"),
    (CHROME, "64.235.150.9", "machine", "barracuda_network"),
    (CHROME, "209.222.82.7", "machine", "barracuda_network"),
    (CHROME, "::ffff:209.222.82.7", "machine", "barracuda_network"),
    (CHROME, "67.231.152.1", "machine", "proofpoint_network"),
    (CHROME, "148.163.135.1", "machine", "proofpoint_network"),
    (CHROME, "205.139.110.61", "machine", "mimecast_network"),
    (CHROME, "185.58.86.3", "machine", "mimecast_network"),
    (CHROME, "68.232.140.2", "machine", "cisco_network"),
    (CHROME, "85.158.142.1", "machine", "symantec_network"),
]  # fmt: skip


def hit(id, seconds, link=None, **more):
    values = {"remote": HOME, "user_agent": CHROME} | more
    return Hit(
        id=id, kind="open" if link is None else "click", link=link, at=SENT + timedelta(seconds=seconds), **values
    )


def verdicts(*given, links=5):
    return {id: (each.verdict.value, each.reasons) for id, each in judge(given, sent_at=SENT, links=links).items()}


@pytest.mark.parametrize(("agent", "remote", "verdict", "reason"), REAL)
def test_a_real_program_is_known_for_what_it_is(agent, remote, verdict, reason):
    [(found, reasons)] = verdicts(hit(1, 3600, user_agent=agent, remote=remote)).values()
    assert (found, reasons[0]) == (verdict, reason)


def test_the_table_has_sixty_rows_and_each_of_ours_has_its_source():
    assert len(REAL) >= 60
    assert all(row.source for row in (*hits.KNOWN.agents, *hits.KNOWN.networks))
    assert all(row.match == row.match.lower() for row in hits.KNOWN.agents)


def test_nobody_opens_within_two_seconds():
    assert verdicts(hit(1, 1.9), hit(2, 2.0)) == {1: ("machine", ("too_soon",)), 2: ("human", ("browser",))}


def test_without_a_time_of_delivery_nothing_is_too_soon():
    assert judge([hit(1, 0)], sent_at=None, links=1)[1].verdict is Verdict.HUMAN


def test_asking_for_the_headers_alone_is_not_looking():
    assert verdicts(hit(1, 3600, method="HEAD"))[1] == ("machine", ("head",))


def test_every_link_within_a_second_was_no_hand():
    opened = hit(1, 100)
    assert verdicts(opened, hit(2, 200, 1), hit(3, 200.9, 2), links=2) == {
        1: ("human", ("browser",)),
        2: ("machine", ("every_link_at_once",)),
        3: ("machine", ("every_link_at_once",)),
    }
    apart = verdicts(opened, hit(2, 200, 1), hit(3, 201.1, 2), links=2)
    assert [verdict for verdict, _ in apart.values()] == ["human"] * 3


def test_several_links_within_a_second_are_as_bad_and_their_order_tells_more():
    in_order = verdicts(hit(1, 200, 1), hit(2, 200.3, 2), hit(3, 200.6, 4), links=9)
    assert {reasons for _, reasons in in_order.values()} == {("links_in_order",)}
    shuffled = verdicts(hit(1, 200, 4), hit(2, 200.3, 2), hit(3, 200.6, 7), links=9)
    assert {reasons for _, reasons in shuffled.values()} == {("many_links_at_once",)}


def test_a_double_click_is_a_person():
    assert {verdict for verdict, _ in verdicts(hit(1, 200, 1), hit(2, 200.2, 1), links=1).values()} == {"human"}


def test_the_only_link_clicked_twice_is_not_every_link():
    assert verdicts(hit(1, 200, 1), links=1)[1] == ("human", ("browser",))


def test_who_follows_the_hidden_link_is_a_machine_and_all_its_hits_with_it():
    other = {"remote": "203.0.113.9"}
    found = verdicts(hit(1, 100, **other), hit(2, 200, 1), hit(3, 300, 0), hit(4, 400, 1, **other))
    assert found == {
        1: ("human", ("browser",)),
        2: ("machine", ("followed_hidden_link",)),
        3: ("machine", ("hidden_link",)),
        4: ("human", ("browser",)),
    }


def test_a_click_before_the_mail_was_seen_is_doubted_just_after_delivery_only():
    assert verdicts(hit(1, 20, 1), hit(2, 30)) == {
        1: ("unknown", ("clicked_before_opening",)),
        2: ("human", ("browser",)),
    }
    assert verdicts(hit(1, 20), hit(2, 30, 1))[2][0] == "human"
    assert verdicts(hit(1, 90, 1))[1][0] == "human"


def test_one_person_is_enough_and_doubt_goes_before_a_machine():
    assert hits.best([Verdict.MACHINE, Verdict.HUMAN, Verdict.UNKNOWN]) is Verdict.HUMAN
    assert hits.best([Verdict.MACHINE, Verdict.UNKNOWN]) is Verdict.UNKNOWN
    assert hits.best([]) is None


def test_judging_twice_says_the_same():
    given = [hit(1, 1), hit(2, 40, 1), hit(3, 40.2, 2), hit(4, 40.4, 3), hit(5, 50, 0), hit(6, 900)]
    assert verdicts(*given) == verdicts(*given)
