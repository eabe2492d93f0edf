"""What the codes of problems mean, for the reference. A code never changes its meaning; a test holds that every code raised anywhere stands here."""

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, str]] = {
    "already_started": "The campaign has been started before; resume it.",
    "busy": "A part that is needed does not answer now.",
    "campaign_completed": "The campaign is completed and changes no more; make a copy.",
    "campaign_running": "The campaign is running; pause it first.",
    "conflict": "Another thing already has this name, address or key.",
    "cross_site": "A page of another site made a browser send this request.",
    "domain_in_use": "Senders send from this domain; delete them first.",
    "forbidden": "The role may not do this.",
    "internal": "Something went wrong here, and was written down under the incident.",
    "invalid": "The request has faults; `faults` lists every one of them.",
    "lead_exists": "There is a lead with this address already.",
    "ledger_down": "The database does not answer; nothing was changed.",
    "list_archived": "The list is archived and takes no leads.",
    "list_in_use": "Campaigns that are not completed use this list.",
    "method_not_allowed": "The address does not take this method.",
    "name_taken": "Another thing of this kind has the name.",
    "no_workspace": "The user belongs to no workspace.",
    "not_found": "There is no such thing in this workspace, or nothing at this address.",
    "not_signed_in": "Nobody is signed in, or the session or key does not hold any more.",
    "not_started": "The campaign is a draft; start it.",
    "redis_unavailable": "The queues and counters (Redis) do not answer.",
    "refused": "The request cannot be taken as it was sent.",
    "sender_restricted": "The sender sends nothing, and changes no status, before it has passed a test.",
    "stale": "The thing was changed since it was read; read it again.",
    "suppressed": "The address or its domain is suppressed.",
    "template": "A subject or a body cannot be read.",
    "too_large": "The body is larger than this address takes.",
    "too_many_requests": "Too many tries; `Retry-After` says when the next one is taken.",
    "unsupported_media_type": "The body is of a kind that this address does not take.",
    "was_mailed": "Mail has been sent, and its record is kept; this cannot be deleted any more.",
    "wrong_credentials": "The e-mail address or the password is wrong.",
    "wrong_state": "The thing is not in a state that allows this.",
}
