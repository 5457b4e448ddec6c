"""Fuzzing what strangers' bytes reach first. ``python -m tests.fuzz --seconds 60``; what once broke is in ``corpus/``.

``targets`` has a function per decoder: it takes bytes and raises only if something is wrong. ``test_corpus`` gives each
of them every file of the corpus, in ``make test``.
"""
