import json

from cleanmails.bench import inbox


def test_the_figures_are_one_json_object(capsys):
    assert inbox.main(["--json", "--messages", "80", "--mailboxes", "20", "--seconds", "1"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert {"messages_per_s", "idle_mailboxes", "idle_rss_mb", "idle_cpu_percent"} <= figures.keys()
    assert figures["messages_per_s"] > 0
    assert figures["settled"] == 72  # of ten messages one is a newsletter
    assert figures["idle_mailboxes"] == 20
    assert figures["idle_rss_mb"] > 10
