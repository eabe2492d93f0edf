import json

from cleanmails.bench import plan


def test_the_figures_are_one_json_object(capsys):
    assert plan.main(["--json", "--rows", "6000", "--rounds", "20"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == ["rows", "idle_p50_ms", "idle_p99_ms", "capped_p50_ms", "capped_p99_ms", "claim_rows_per_s"]
    assert figures["rows"] == 6000
    assert 0 < figures["idle_p50_ms"] <= figures["idle_p99_ms"]
    assert 0 < figures["capped_p50_ms"] <= figures["capped_p99_ms"]
    assert figures["claim_rows_per_s"] > 0
