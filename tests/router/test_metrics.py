import structlog

from router.metrics import COUNTERS, Metrics


def values(metrics: Metrics) -> dict[str, float]:
    lines = metrics.text().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_every_counter_comes_out():
    metrics = Metrics()
    for place, name in enumerate(COUNTERS):
        setattr(metrics, name, place)
    found = values(metrics)
    assert [found[f"signalbox_{name}_total"] for name in COUNTERS] == list(range(len(COUNTERS)))


def test_requests_are_counted_by_method_and_outcome():
    metrics = Metrics()
    for _ in range(2):
        metrics.request("message.send", "ok")
    metrics.request("message.send", "forbidden")
    found = values(metrics)
    assert found['signalbox_requests_total{method="message.send",outcome="ok"}'] == 2
    assert found['signalbox_requests_total{method="message.send",outcome="forbidden"}'] == 1


def test_methods_of_a_peer_s_invention_make_no_new_metrics():
    metrics = Metrics()
    metrics.request("no.such\nmethod", "ok")
    assert values(metrics)['signalbox_requests_total{method="unknown",outcome="ok"}'] == 1


def test_commits_are_counted_by_size():
    metrics = Metrics()
    for size in (1, 3, 100):
        metrics.committed(size)
    found = values(metrics)
    assert found["signalbox_commit_records_count"] == 3
    assert found["signalbox_commit_records_sum"] == 104
    assert found['signalbox_commit_records_bucket{le="4.0"}'] == 2


def test_what_is_watched_is_asked_at_each_scrape():
    metrics, size = Metrics(), [1]
    metrics.watch("wheel", lambda: {"armed": size[0], "level-0": 0.5})
    assert values(metrics)["signalbox_wheel_armed"] == 1
    size[0] = 2
    assert values(metrics)["signalbox_wheel_armed"] == 2
    assert values(metrics)["signalbox_wheel_level_0"] == 0.5


def test_statistics_that_fail_hide_no_others():
    metrics = Metrics()
    metrics.watch("broken", lambda: 1 / 0)
    metrics.watch("whole", lambda: {"size": 1})
    with structlog.testing.capture_logs() as log:
        found = values(metrics)
    assert found["signalbox_whole_size"] == 1
    assert (log[0]["event"], log[0]["watched"]) == ("metrics.watch_failed", "broken")


def test_two_servers_in_one_process_count_apart():
    one, two = Metrics(), Metrics()
    one.frames_sent += 1
    assert values(two)["signalbox_frames_sent_total"] == 0
