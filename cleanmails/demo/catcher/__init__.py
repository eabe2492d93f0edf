"""A mail server that keeps what it is sent, to be looked at in a browser and counted by tests. Nothing leaves this machine.

`with catcher.running() as c: c.port, c.mails()` in a test; `python -m cleanmails.demo.catcher --folder F --smtp-port P --http-port H` by itself.
"""

from cleanmails.demo.catcher.behaviour import Attempt, Behaviour, Rule, by_address, by_rules, parse
from cleanmails.demo.catcher.server import Catcher, running
from cleanmails.demo.catcher.store import Caught

__all__ = ["Attempt", "Behaviour", "Catcher", "Caught", "Rule", "by_address", "by_rules", "parse", "running"]
