"""The proof that nothing is sent twice and nobody is lost, whatever breaks: the real processes, faults by plan, and a count at the mail server.

`run` is the command, `story` plays it, `plan` says what breaks in which order, `faults` breaks it, `people` stop mails meanwhile, `watch` measures how soon
work is taken up again, `judge` holds the server's mails against the ledger, and `report` prints what was found. `worker` is a worker process that can be told
to die at a named point.
"""
