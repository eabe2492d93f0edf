from cleanmails.bench import inbox
from cleanmails.settings import Servers


def test_messages_are_settled_and_mailboxes_idle(database_url, redis_url, tmp_path):
    figures = inbox.measure(Servers(database_url, redis_url), tmp_path, messages=40, mailboxes=12, seconds=0.5, polls=0)
    assert {"messages_per_s", "idle_mailboxes", "idle_rss_mb", "idle_cpu_percent"} <= figures.keys()
    assert figures["messages_per_s"] > 0
    assert figures["settled"] == 36  # of ten messages one is a newsletter
    assert figures["idle_mailboxes"] == 12
    assert figures["idle_rss_mb"] > 10
    assert 0 < figures["idle_p99_s"] < 5
    assert figures["polled_p99_s"] is None  # that is a minute's wait
