"""A sentence cut into clauses that each have a subject of their own: "my name is Bob and I live in Rome"."""

import re

CLAUSES_AT_MOST = 4
"""That a sentence is read to."""

_JOINT = re.compile(
    r"(?:,\s{1,3}(?:and\s)?|\sand\s)(?:that\s)?(?=(?:I|we|he|she|they|it)\b"
    r"|(?:my|our|his|her|their)\s[\w'\u2019 -]{1,40}?\s(?:is|are|lives?|works?|has|have)\s"
    r"|[A-Z][\w-]*(?:\s[A-Z][\w-]*)?\s(?:is|lives|works|has)\s)"
    r"|[,，]?(?:和|以及|还有)(?=我们?的[^,，的]{1,12}(?:是|叫|在))|[,，](?=我)"
)


def clauses(sentence: str) -> list[str]:
    return _JOINT.split(sentence)
