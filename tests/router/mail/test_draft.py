"""What a mail is about: what is read for it, what its template is told, and what it never is."""

from __future__ import annotations

import pytest

from protocol.objects import BACKEND, By
from protocol.records import Timeline
from router.mail.draft import CONVERSATIONS_SHOWN, MESSAGES_SHOWN, TEXT_SHOWN, Draft, Unwritable
from tests.router.mail.writing import MEETING, NIA, Shelf, digest, mail, message
from tests.world import START


def test_a_fallback_tells_the_message_and_who_wrote_it_when() -> None:
    told = Shelf(message(6, "Before"), message(7, "Hello")).draft(mail()).told()
    said = told["message"]
    assert (said.author, said.kind, said.at, said.text, said.files) == ("Ana", "agent", START, "Hello", ())


def test_a_message_that_is_gone_cannot_be_mailed() -> None:
    draft = Shelf(message(6, "Before")).draft(mail())
    with pytest.raises(Unwritable, match="there is no message 7 in conversation c1"):
        draft.told()


def test_only_messages_are_ever_asked_for() -> None:
    shelf = Shelf()
    for item in (mail(), mail("digest", **digest(("c1", 2, 9))), mail("forward", messages=[7], by=NIA)):
        shelf.draft(item)
    pages = [question for question in shelf.asked if isinstance(question, Timeline)]
    assert len(pages) == 3
    assert {page.types for page in pages} == {frozenset({"message"})}


def test_a_forward_tells_each_message_with_its_author_and_files() -> None:
    shelf = Shelf(message(5, "It broke", NIA), message(6, "Not this"), message(7, "See", attachments=("f1", "f2")))
    told = shelf.draft(mail("forward", messages=[5, 7], by=By("agent", "bo"))).told()
    assert told["by"] == "Bo"
    assert [(said.author, said.text, said.files) for said in told["messages"]] == [
        ("Nia", "It broke", ()),
        ("Ana", "See", ("plan.pdf", "f2")),
    ]


def test_the_backend_and_a_contact_without_a_name_have_no_author() -> None:
    shelf = Shelf(message(5, "Hi", BACKEND), message(6, "Hi", By("contact", "oli")))
    told = shelf.draft(mail("forward", messages=[5, 6], by=BACKEND)).told()
    assert (told["by"], [said.author for said in told["messages"]]) == (None, [None, None])


def test_a_digest_shows_the_newest_unread_and_counts_the_rest() -> None:
    entries = [message(seq, "x" * 3_000, NIA) for seq in range(1, 31)]
    told = Shelf(*entries).draft(mail("digest", **digest(("c1", 12, 20)))).told()
    (thread,) = told["threads"]
    assert (thread.title, thread.unread, thread.earlier) == ("Nia", 12, 2)
    assert len(thread.messages) == MESSAGES_SHOWN
    assert len(thread.messages[0].text) == TEXT_SHOWN
    assert (told["unread"], told["others"]) == (12, 0)


def test_a_digest_of_very_many_conversations_shows_some_and_counts_all() -> None:
    parts = [(f"c{n}", 2, 9) for n in range(CONVERSATIONS_SHOWN + 5)]
    told = Shelf(message(1, "a"), message(2, "b")).draft(mail("digest", **digest(*parts, more=7))).told()
    assert len(told["threads"]) == CONVERSATIONS_SHOWN
    assert (told["unread"], told["others"]) == (2 * (CONVERSATIONS_SHOWN + 5) + 7, 5 + 7)


def test_a_mail_about_a_meeting_needs_nothing_read() -> None:
    draft = Draft(mail("invitation", **MEETING), str.title)
    assert draft.questions() == []
    assert draft.told()["organizer"] == "Ana"


def test_nothing_is_asked_for_twice() -> None:
    shelf = Shelf(message(5, "a", NIA), message(7, "b", NIA))
    shelf.draft(mail("forward", messages=[5, 7, 5], by=NIA))
    assert len(shelf.asked) == len(set(shelf.asked)) == 3
