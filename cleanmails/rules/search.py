"""What a search looks for: words, each of which must begin a word of a lead's address, names or company."""

from typing import Final

MOST_WORDS: Final = 10
_LONGEST: Final = 100

# As `lead_words` in the schema cuts a lead's text into words.
_BETWEEN: Final = str.maketrans(dict.fromkeys("@.-_+(/", " "))


def words(text: str) -> list[str]:
    """`Ada@Exam` looks for words that begin with `ada` and with `exam`. Empty if nothing is looked for."""
    found = text.lower().replace("\0", "").translate(_BETWEEN).split(" ")
    return list(dict.fromkeys(word[:_LONGEST] for word in found if word))[:MOST_WORDS]
