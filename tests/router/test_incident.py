import structlog

from router.incident import report


def failing(text: str) -> BaseException:
    try:
        raise ValueError(text)
    except ValueError as problem:
        return problem


def test_types_and_places_are_logged_and_no_texts():
    with structlog.testing.capture_logs() as log:
        incident = report("test.failed", failing("words of a customer"), connection=7)
    assert log == [
        {
            "event": "test.failed",
            "log_level": "error",
            "incident": incident,
            "connection": 7,
            "problems": log[0]["problems"],
        }
    ]
    assert log[0]["problems"][0].startswith("ValueError at test_incident.py:")
    assert "customer" not in str(log)


def test_a_group_is_logged_as_its_parts():
    group = ExceptionGroup("outer", [failing("a"), ExceptionGroup("inner", [failing("b"), KeyError("c")])])
    with structlog.testing.capture_logs() as log:
        report("test.failed", group)
    assert [text.split(" ")[0] for text in log[0]["problems"]] == ["ValueError", "ValueError", "KeyError"]


def test_every_incident_has_its_own_id():
    assert report("test.failed", KeyError()) != report("test.failed", KeyError())
