"""From the configuration to a mailer: what is missing is said at the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.settings import MailSettings, WorkspaceSettings
from router.config import ConfigError
from router.mail.mailer import Mailer
from router.mail.opening import open_mailer, read_password

PASSWORD = {"SIGNALBOX_SMTP_PASSWORD": "secret"}


def workspace(**settings: str) -> WorkspaceSettings:
    return WorkspaceSettings(mail=MailSettings(**settings))  # type: ignore[arg-type]


def test_a_workspace_without_mail_has_no_mailer() -> None:
    assert open_mailer(WorkspaceSettings(), PASSWORD) is None


def test_a_user_needs_a_password_but_not_where_nothing_leaves() -> None:
    with pytest.raises(ConfigError, match=r"mail\.username: set its password in SIGNALBOX_SMTP_PASSWORD or"):
        open_mailer(workspace(username="house"), {})
    assert isinstance(open_mailer(workspace(username="house"), PASSWORD), Mailer)
    assert isinstance(open_mailer(workspace(username="house"), {}, printing=True), Mailer)


def test_templates_that_do_not_fit_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mail\.templates: cannot be read: No such file"):
        open_mailer(workspace(templates=str(tmp_path / "nowhere")), {})
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "digest.txt").write_text("{{")
    with pytest.raises(ConfigError, match=r"mail: en/digest\.txt: "):
        open_mailer(workspace(templates=str(tmp_path)), {})


def test_the_password_is_in_a_variable_or_in_the_file_it_names(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from a file\n")
    named = {"SIGNALBOX_SMTP_PASSWORD_FILE": str(file)}
    assert read_password({}) is None
    assert read_password(PASSWORD) == "secret"
    assert read_password(named) == "from a file"
    with pytest.raises(ConfigError, match="not both"):
        read_password(PASSWORD | named)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="expected text in UTF-8"):
        read_password(named)
    file.unlink()
    with pytest.raises(ConfigError, match="SIGNALBOX_SMTP_PASSWORD_FILE: cannot be read"):
        read_password(named)
