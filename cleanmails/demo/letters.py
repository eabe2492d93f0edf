"""What the made-up people answer. Each with the label that somebody gave it, if they did."""

from typing import Final, Literal

Label = Literal["interested", "not_interested", "meeting_booked", "wrong_person", "out_of_office"]

REPLIES: Final[tuple[tuple[Label, int, str], ...]] = (
    (
        "interested",
        5,
        "Hi,\n\nthis comes at a good time, we are looking at exactly that for the spring. Could you send me two or three examples, and what it would cost for a team of ten?",
    ),
    (
        "interested",
        4,
        "Thanks for writing. Not my first choice of channel, but the case you linked is close to ours. What would the next step be?",
    ),
    ("interested", 3, "Can you tell me more about how you work with companies of our size? We are forty people."),
    (
        "meeting_booked",
        4,
        "Thursday at ten works for me. Please send an invitation, and add my colleague who runs the day-to-day.",
    ),
    ("meeting_booked", 2, "Happy to talk. I put fifteen minutes into your calendar for Tuesday."),
    ("not_interested", 5, "Thank you, but we do this in house and will keep it that way. All the best."),
    ("not_interested", 3, "Not for us at the moment. Please don't follow up this year."),
    ("wrong_person", 3, "I am no longer in charge of this. Please write to the head of operations."),
)
"""Label, weight, words."""

AWAY: Final = "Thank you for your message. I am out of the office and will read it when I am back. In urgent cases please call the front desk."
UNSURE: Final = "Is this still open? I had your mail in two places and lost track of which one to answer."
