"""A house at work, to watch in the terminal: ``python -m examples.demo`` (or ``make demo``).

    server.py      a real server process of its own, and the tokens for everybody
    people.py      agents: answer, snooze, transfer, lose the connection
    contacts.py    those who write: from a web page, and by WhatsApp through a connector
    board.py       watches everything there is to show as a backend would, over the protocol
    words.py       an entry of a timeline as a sentence: who got what and why
    screen.py      the board as tables and a log

Everybody is a real WebSocket client (``examples.client``); nothing here knows the inside of the server.
"""
