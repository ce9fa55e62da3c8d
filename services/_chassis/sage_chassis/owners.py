"""Whose a request is: the one place that says so."""

from sage_chassis.bodies import StrictRequest
from sage_contracts.names import LOCAL_OWNER


def owner_of(request: StrictRequest) -> str:
    """
    Until API keys arrive everybody is the local owner, whatever a request says of itself.

    A session, a collection, a query: each belongs to an owner, and somebody else's does not exist.
    """
    del request
    return LOCAL_OWNER
