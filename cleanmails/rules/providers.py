"""Which provider takes a domain's mail, as a table: by the domain itself, else by the names of its mail exchangers.

Rates are held per provider, all workers together. A domain of none of these is a provider of its own, by its own name; names of the table have no
dot, so that the two never meet. Gateways that filter mail for many companies count a sender's mail over all of them, so they stand here too, with
the rate of any other domain.
"""

from collections.abc import Iterator, Mapping, Sequence

OTHER = "other"

# As published in each provider's set-up pages for a domain's MX records; every name below one of these counts.
EXCHANGERS: Mapping[str, str] = {
    "google.com": "google",
    "googlemail.com": "google",
    "outlook.com": "microsoft",
    "partner.outlook.cn": "microsoft",
    "office365.us": "microsoft",
    "mx.microsoft": "microsoft",
    "yahoodns.net": "yahoo",
    "yahoo.com": "yahoo",
    "icloud.com": "icloud",
    "protonmail.ch": "proton",
    "mimecast.com": "mimecast",
    "mimecast.co.za": "mimecast",
    "mimecast-offshore.com": "mimecast",
    "pphosted.com": "proofpoint",
    "ppe-hosted.com": "proofpoint",
    "gpphosted.com": "proofpoint",
    "barracudanetworks.com": "barracuda",
    "iphmx.com": "cisco",
    "messagelabs.com": "broadcom",
    "tmes.trendmicro.com": "trendmicro",
    "tmes.trendmicro.eu": "trendmicro",
    "hydra.sophos.com": "sophos",
    "hornetsecurity.com": "hornetsecurity",
    "antispameurope.com": "hornetsecurity",
    "mailcontrol.com": "forcepoint",
    "fortimailcloud.com": "fortinet",
    "antispamcloud.com": "spamexperts",
}

# The domains that most private addresses are at, so that these need no look-up. Their sisters in many countries are found by their exchangers;
# not by their names, for yahoo.co.jp is another company.
DOMAINS: Mapping[str, str] = {
    "gmail.com": "google",
    "googlemail.com": "google",
    "outlook.com": "microsoft",
    "hotmail.com": "microsoft",
    "live.com": "microsoft",
    "msn.com": "microsoft",
    "yahoo.com": "yahoo",
    "ymail.com": "yahoo",
    "rocketmail.com": "yahoo",
    "aol.com": "yahoo",
    "icloud.com": "icloud",
    "me.com": "icloud",
    "mac.com": "icloud",
    "proton.me": "proton",
    "protonmail.com": "proton",
    "pm.me": "proton",
}


def provider_of(domain: str, mx_hosts: Sequence[str]) -> str:
    """The name of the provider that takes a domain's mail, or the domain itself if the table has none.

    `mx_hosts` come most preferred first, as the domain's MX records name them; the first one that is known decides.
    """
    domain = _plain(domain)
    if domain in DOMAINS:
        return DOMAINS[domain]
    known = (EXCHANGERS[name] for host in mx_hosts for name in _suffixes(_plain(host)) if name in EXCHANGERS)
    return next(known, domain)


def rate_of(provider: str, rates: Mapping[str, float]) -> float:
    """How many mails a second a provider is given: its own rate, else that of `other`."""
    return rates.get(provider, rates[OTHER])


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _suffixes(host: str) -> Iterator[str]:
    """The host's name, then what is left of it without its first label, and so on."""
    while host:
        yield host
        _, _, host = host.partition(".")
