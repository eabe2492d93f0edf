"""Redis: how many mails a sender has left today, and when the next one may go to a provider.

| key | holds | module |
|---|---|---|
| `cm:day:<yyyymmdd>` | a hash: mails reserved that UTC day by sender id, and the epoch they belong to | `daily` |
| `cm:rate:<name>` | when the next slot of a provider or domain is due | `rate` |
| `cm:rate-since` | since when this server has seen every slot that was taken | `rate` |
| `cm:slot:<name>` | a slot somebody has taken | `slots` |

Redis may lose everything at any moment, and may come back from disk with less than it knew. Nothing here takes what is
missing for zero, and nothing here is the last word: that is the ledger's. Every call raises BusyError while Redis does not answer.
"""
