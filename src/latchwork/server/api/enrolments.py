"""Where a controller becomes a bank. It has no token yet: the one-time code is the secret."""

from litestar import post
from litestar.params import JSONBody

from latchwork.server.actions import enrolment
from latchwork.server.api.bodies import Enrolment, Rotation
from latchwork.server.api.guard import TheOffice


@post("/enrolments", tags=["Enrolment"], status_code=200, summary="Trade a one-time code for an identity")
async def enrol(office: TheOffice, data: JSONBody[Enrolment]) -> enrolment.Enrolled:
    public_key, signature = bytes.fromhex(data.public_key), bytes.fromhex(data.signature)
    return await enrolment.enrol(office, data.code, public_key, signature)


@post("/enrolments/rotation", tags=["Enrolment"], status_code=204, summary="Give a controller its next key")
async def rotate(office: TheOffice, data: JSONBody[Rotation]) -> None:
    hexes = (data.public_key, data.next_key, data.signature, data.next_signature)
    await enrolment.rotate(office, data.bank, *map(bytes.fromhex, hexes))


HANDLERS = [enrol, rotate]
